/**
 * Signing in: as one of the demo users, where the service was started with them, or as the user of a token.
 * Tokens are stored in a closure only.
 */

import { avatar, busy, byId, say } from "./elements.js";

/** Between two requests for the demo users, while they are being generated. */
const POLL_INTERVAL_MILLISECONDS = 2_000;
/** Before its expiry a token is replaced. */
const RENEW_BEFORE_SECONDS = 60;

/** What the service offers: whether there are demo users, and which libraries are missing. */
export async function serviceInfo() {
  const response = await fetch("/web/page.json", { cache: "no-store" });
  if (!response.ok) throw new Error("The service does not respond");
  return response.json();
}

/** A demo user, and a function that returns their tokens. */
export async function demoUser(id) {
  let session = await demoSession(id);
  const token = async (afresh) => {
    if (afresh || session.expiresAt - RENEW_BEFORE_SECONDS < Date.now() / 1000) session = await demoSession(id);
    return session.token;
  };
  return { id, name: session.name, token };
}

/** The user of a token; the service verifies it, here it is only decoded. */
export function userOfToken(token) {
  const id = subject(token);
  if (typeof id !== "string") throw new Error("This is not the token of a user");
  return { id, name: id, token };
}

function subject(token) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes(token.split(".")[1]))).sub;
  } catch {
    return null;
  }
}

/** Shows the demo users as soon as there are some; `onChoose` receives an id. */
export async function offerDemoUsers(onChoose, onProblem) {
  for (;;) {
    const users = await demoUsers();
    if (users.length) return draw(users, onChoose, onProblem);
    say(byId("welcome-words"), "The demo people are being created. This takes a moment the first time…");
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MILLISECONDS));
  }
}

/** Shows the form for a token; `onToken` receives it. */
export function offerToken(onToken, onProblem) {
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = byId("token").value.trim();
    busy(event.submitter, () => onToken(token), onProblem).then(() => (byId("token").value = ""));
  });
}

async function demoUsers() {
  const response = await fetch("/demo/people", { cache: "no-store" });
  return response.ok ? (await response.json()).people : [];
}

async function demoSession(user) {
  const body = JSON.stringify({ user });
  const response = await fetch("/demo/session", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const json = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(json.detail ?? "The service refused to sign you in");
  return json;
}

function draw(users, onChoose, onProblem) {
  say(byId("welcome-words"), "Sign in as one of these people. Open a second window as another, and watch them meet.");
  byId("demo-users").replaceChildren(...users.map((user) => choice(user, onChoose, onProblem)));
}

function choice(user, onChoose, onProblem) {
  const item = document.createElement("li");
  const made = document.createElement("button");
  const name = document.createElement("bdi");
  made.type = "button";
  made.className = "choice";
  made.dataset.id = user.id;
  name.textContent = user.name;
  made.append(avatar(user), name);
  made.addEventListener("click", () => busy(made, () => onChoose(user.id), onProblem));
  item.append(made);
  return item;
}

function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}
