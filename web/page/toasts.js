/** Short messages: what happened, for the eye and for the ear, never more than a person can take. Knows words. */

import { byId } from "./elements.js";
import { arrivals, clipped } from "./format.js";

/** Milliseconds a message stays. */
const STAYS = 6_000;
/** Milliseconds between two announcements of comings and goings. */
const BREATH = 5_000;
const MOST = 3;

const heard = new Map();
let speaking = null;

/** Shows a message. `kind`: "good" or "bad". */
export function toast(text, kind = "good") {
  const made = document.createElement("p");
  made.className = `toast ${kind}`;
  made.setAttribute("role", kind === "bad" ? "alert" : "status");
  made.textContent = text;
  const all = byId("toasts");
  all.append(made);
  while (all.children.length > MOST) all.firstElementChild.remove();
  setTimeout(() => made.remove(), STAYS);
}

/** A problem, in words. */
export function failed(problem) {
  const words = problem.message || "Something went wrong";
  toast(`${words[0].toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`, "bad");
}

/** Something that came of a friend: requests and new friends are shown, comings and goings only announced. */
export function notice({ kind, id, name }) {
  const who = clipped(name || id);
  if (kind === "requested" || kind === "added") toast(arrivals([who], kind));
  else heard.set(kind, [...(heard.get(kind) ?? []), who]);
  speaking ??= setTimeout(speak, BREATH);
}

/** Forgets what was not yet announced. */
export function hush() {
  heard.clear();
}

function speak() {
  speaking = null;
  byId("announcer").textContent = [...heard].map(([kind, names]) => `${arrivals(names, kind)}.`).join(" ");
  heard.clear();
}
