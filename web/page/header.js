/** The top of the page: who one is, the connection in words, how many are online in all. Calls nobody. */

import { avatar, byId, say } from "./elements.js";
import { doubt, link, number, trend } from "./format.js";

const WIDTH = 120;
const HEIGHT = 28;

/** Who is signed in. */
export function showMe(person) {
  byId("me-avatar").replaceChildren(avatar(person));
  say(byId("me-name"), person.name || person.id);
  document.title = `Friends of ${person.name || person.id}`;
}

/** The connection, and whether presence can be told at all. */
export function showLink(client) {
  say(byId("link"), link(client.connection));
  byId("link").dataset.state = client.connection.state;
  const words = client.connection.state === "signedOut" ? "" : doubt(client.unknown);
  byId("doubt").hidden = !words;
  if (words) say(byId("doubt"), words);
}

/** How many are online in all, and how that has moved. */
export function showEveryone(client) {
  const { everyone } = client;
  byId("everyone").hidden = !everyone;
  if (!everyone) return;
  say(byId("everyone-count"), number(everyone.online));
  say(byId("everyone-trend"), trend(everyone.trend));
  draw(everyone.trend);
}

function draw(counts) {
  const span = Math.max(Math.max(...counts) - Math.min(...counts), 4);
  const low = (Math.max(...counts) + Math.min(...counts) - span) / 2;
  const step = WIDTH / Math.max(counts.length - 1, 1);
  const points = counts.map((count, at) => [at * step, HEIGHT - 3 - ((count - low) / span) * (HEIGHT - 6)]);
  if (points.length === 1) points.push([WIDTH, points[0][1]]);
  const line = points.map((point) => point.map((one) => one.toFixed(1)).join(",")).join(" ");
  byId("spark-line").setAttribute("points", line);
  byId("spark-area").setAttribute("d", `M0,${HEIGHT} L${line.replaceAll(" ", " L")} L${WIDTH},${HEIGHT} Z`);
}
