/** The top of the page: the signed-in user, the connection, how many are online in all. Makes no requests. */

import { avatar, byId, say } from "./elements.js";
import { connection, number, trend, unknownPresence } from "./format.js";

const WIDTH_PIXELS = 120;
const HEIGHT_PIXELS = 28;

/** The signed-in user. */
export function showMe(user) {
  byId("me-avatar").replaceChildren(avatar(user));
  say(byId("me-name"), user.name || user.id);
  document.title = `Friends of ${user.name || user.id}`;
}

/** The connection, and whether presence is known at all. */
export function showConnection(client) {
  say(byId("connection"), connection(client.connection));
  byId("connection").dataset.state = client.connection.state;
  const text = client.connection.state === "signedOut" ? "" : unknownPresence(client.unknown);
  byId("unknown").hidden = !text;
  if (text) say(byId("unknown"), text);
}

/** How many are online in all, and how that has changed. */
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
  const step = WIDTH_PIXELS / Math.max(counts.length - 1, 1);
  const points = counts.map((count, at) => [at * step, HEIGHT_PIXELS - 3 - ((count - low) / span) * (HEIGHT_PIXELS - 6)]);
  if (points.length === 1) points.push([WIDTH_PIXELS, points[0][1]]);
  const line = points.map((point) => point.map((one) => one.toFixed(1)).join(",")).join(" ");
  byId("spark-line").setAttribute("points", line);
  byId("spark-area").setAttribute("d", `M0,${HEIGHT_PIXELS} L${line.replaceAll(" ", " L")} L${WIDTH_PIXELS},${HEIGHT_PIXELS} Z`);
}
