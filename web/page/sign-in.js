/**
 * Becoming somebody: one of the demo people, where the service was started with them, or whoever a token is for.
 * Tokens live in a closure and end with the page.
 */

import { avatar, busy, byId, say } from "./elements.js";

/** Milliseconds between two looks whether the demo people are there. */
const LOOK_AGAIN = 2_000;
/** Seconds before its end that a token is replaced. */
const EARLY = 60;

/** What the service says of itself: whether there is a demo, and which libraries are missing. */
export async function about() {
  const answer = await fetch("/web/page.json", { cache: "no-store" });
  if (!answer.ok) throw new Error("The service does not answer");
  return answer.json();
}

/** A demo person and how to get their tokens. */
export async function demoPerson(id) {
  let kept = await demoSession(id);
  const token = async (afresh) => {
    if (afresh || kept.expiresAt - EARLY < Date.now() / 1000) kept = await demoSession(id);
    return kept.token;
  };
  return { id, name: kept.name, token };
}

/** Whoever a token is for; the service checks it, so here it is only read. */
export function ofToken(token) {
  const id = subject(token);
  if (typeof id !== "string") throw new Error("That is no token of a user");
  return { id, name: id, token };
}

function subject(token) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes(token.split(".")[1]))).sub;
  } catch {
    return null;
  }
}

/** Shows the people one can be, as soon as they are there; `chosen` hears an id. */
export async function offerPeople(chosen, failed) {
  for (;;) {
    const found = await people();
    if (found.length) return draw(found, chosen, failed);
    say(byId("welcome-words"), "The demo people are being made up. This takes a moment the first time…");
    await new Promise((again) => setTimeout(again, LOOK_AGAIN));
  }
}

/** Shows the form for a token; `given` hears it. */
export function offerToken(given, failed) {
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = byId("token").value.trim();
    busy(event.submitter, () => given(token), failed).then(() => (byId("token").value = ""));
  });
}

async function people() {
  const answer = await fetch("/demo/people", { cache: "no-store" });
  return answer.ok ? (await answer.json()).people : [];
}

async function demoSession(user) {
  const body = JSON.stringify({ user });
  const answer = await fetch("/demo/session", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const read = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(read.detail ?? "The service refused to sign you in");
  return read;
}

function draw(found, chosen, failed) {
  say(byId("welcome-words"), "Be one of these people. Open a second window as another, and watch them meet.");
  byId("people").replaceChildren(...found.map((person) => choice(person, chosen, failed)));
}

function choice(person, chosen, failed) {
  const place = document.createElement("li");
  const made = document.createElement("button");
  const name = document.createElement("bdi");
  made.type = "button";
  made.className = "choice";
  made.dataset.id = person.id;
  name.textContent = person.name;
  made.append(avatar(person), name);
  made.addEventListener("click", () => busy(made, () => chosen(person.id), failed));
  place.append(made);
  return place;
}

function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}
