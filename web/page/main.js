/** The friends page: signing in and out, and which part shows what. Composition only. */

import { connect } from "friends-presence";
import { FriendCard } from "./card.js";
import { byId, say } from "./elements.js";
import { FriendsPanel } from "./friends.js";
import { showConnection, showEveryone, showMe } from "./header.js";
import { UserPanels } from "./suggestions.js";
import { demoUser, offerDemoUsers, offerToken, serviceInfo, userOfToken } from "./sign-in.js";
import { discardAnnouncements, showNotice, showProblem } from "./toasts.js";

const friends = new FriendsPanel({ onChoose: (id) => card.open(client, id) });
const users = new UserPanels({ onProblem: showProblem });
const card = new FriendCard({ onProblem: showProblem, onEnded: () => users.loadBlocks() });
let client = null;
let frame = null;

/** Draws once before the next frame, however often something changes. */
function drawSoon() {
  frame ??= requestAnimationFrame(draw);
}

function draw() {
  frame = null;
  if (!client) return;
  friends.update();
  users.update();
  card.update();
  showConnection(client);
  showEveryone(client);
}

async function signIn(user) {
  const made = await connect({ session: { token: user.token } });
  client = made;
  made.on("change", drawSoon);
  made.on("connection", (connection) => (connection.state === "signedOut" ? signedOut(connection.reason) : drawSoon()));
  made.on("problem", (problem) => console.info(problem.message));
  made.on("notice", (notice) => {
    showNotice(notice);
    if (notice.kind === "added") users.onFriendAdded();
  });
  globalThis.friendsPresence = made;
  showMe(user);
  show("app");
  friends.follow(made);
  users.follow(made);
  draw();
}

async function signInAsDemoUser(id) {
  await signIn(await demoUser(id));
  history.replaceState(null, "", `?as=${encodeURIComponent(id)}`);
}

function signedOut(reason) {
  signOut();
  say(byId("welcome-words"), `Your sign-in has ended${reason ? `: ${reason}` : ""}. Please sign in again.`);
}

function signOut() {
  client?.close();
  client = null;
  globalThis.friendsPresence = null;
  discardAnnouncements();
  if (byId("card").open) byId("card").close();
  document.title = "Friends";
  history.replaceState(null, "", location.pathname);
  show("welcome");
}

function show(view) {
  for (const id of ["welcome", "app"]) byId(id).hidden = id !== view;
}

function addListeners() {
  byId("sign-out").addEventListener("click", signOut);
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
  addListeners();
  show("welcome");
  const info = await serviceInfo();
  if (!globalThis.PubNub) {
    say(byId("welcome-words"), `This page cannot connect: ${info.missing.join(", ") || "pubnub"} could not be fetched when the service was started. Its first lines say why.`);
    return;
  }
  offerToken((token) => signIn(userOfToken(token)), showProblem);
  byId("own-token").open = !info.demo;
  if (!info.demo) {
    say(byId("welcome-words"), "This service has no demo people. Sign in with a token.");
    return;
  }
  const as = new URLSearchParams(location.search).get("as");
  if (as) await signInAsDemoUser(as).catch(showProblem);
  await offerDemoUsers(signInAsDemoUser, showProblem);
}

start().catch((problem) => {
  say(byId("welcome-words"), "The service does not respond. Try again in a moment.");
  showProblem(problem);
});
