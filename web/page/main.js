/** The friends page: who is signed in, and which part shows what. Composition only. */

import { connect } from "friends-presence";
import { FriendCard } from "./card.js";
import { byId, say } from "./elements.js";
import { FriendsPanel } from "./friends.js";
import { showEveryone, showLink, showMe } from "./header.js";
import { PeoplePanels } from "./suggestions.js";
import { about, demoPerson, ofToken, offerPeople, offerToken } from "./sign-in.js";
import { failed, hush, notice } from "./toasts.js";

const friends = new FriendsPanel((id) => card.open(client, id));
const people = new PeoplePanels(failed);
const card = new FriendCard(failed, () => people.readBlocks());
let client = null;
let frame = null;

/** Draws once before the next frame, however often something changes. */
function later() {
  frame ??= requestAnimationFrame(draw);
}

function draw() {
  frame = null;
  if (!client) return;
  friends.update();
  people.update();
  card.update();
  showLink(client);
  showEveryone(client);
}

async function signIn(person) {
  const made = await connect({ session: { token: person.token } });
  client = made;
  made.on("change", later);
  made.on("connection", (connection) => (connection.state === "signedOut" ? signedOut(connection.reason) : later()));
  made.on("problem", (problem) => console.info(problem.message));
  made.on("notice", (what) => {
    notice(what);
    if (what.kind === "added") people.changed();
  });
  globalThis.friendsPresence = made;
  showMe(person);
  show("app");
  friends.follow(made);
  people.follow(made);
  draw();
}

async function beDemoPerson(id) {
  await signIn(await demoPerson(id));
  history.replaceState(null, "", `?as=${encodeURIComponent(id)}`);
}

function signedOut(reason) {
  leave();
  say(byId("welcome-words"), `Your sign-in has ended${reason ? `: ${reason}` : ""}. Please sign in again.`);
}

function leave() {
  client?.close();
  client = null;
  globalThis.friendsPresence = null;
  hush();
  if (byId("card").open) byId("card").close();
  document.title = "Friends";
  history.replaceState(null, "", location.pathname);
  show("welcome");
}

function show(part) {
  for (const id of ["welcome", "app"]) byId(id).hidden = id !== part;
}

function wire() {
  byId("sign-out").addEventListener("click", leave);
  for (const tab of document.querySelectorAll(".tabs button")) {
    tab.addEventListener("click", () => {
      byId("app").dataset.tab = tab.dataset.tab;
      for (const one of document.querySelectorAll(".tabs button")) one.toggleAttribute("aria-current", one === tab);
      tab.setAttribute("aria-current", "page");
    });
  }
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && client?.wake());
  addEventListener("pagehide", () => client?.close(true));
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}

async function start() {
  wire();
  show("welcome");
  const told = await about();
  if (!globalThis.PubNub) {
    say(byId("welcome-words"), `This page cannot connect: ${told.missing.join(", ") || "pubnub"} could not be fetched when the service was started. Its first lines say why.`);
    return;
  }
  offerToken((token) => signIn(ofToken(token)), failed);
  byId("own-token").open = !told.demo;
  if (!told.demo) {
    say(byId("welcome-words"), "This service has no demo people. Sign in with a token.");
    return;
  }
  const as = new URLSearchParams(location.search).get("as");
  if (as) await beDemoPerson(as).catch(failed);
  await offerPeople(beDemoPerson, failed);
}

start().catch((problem) => {
  say(byId("welcome-words"), "The service does not answer. Try again in a moment.");
  failed(problem);
});
