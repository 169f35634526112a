/** Short messages of what happened, shown and announced to screen readers, limited in number and rate. */

import { byId } from "./elements.js";
import { arrivals, clipped } from "./format.js";

/** How long a message stays. */
const TOAST_MILLISECONDS = 6_000;
/** Between two announcements of friends who came online or went offline. */
const ANNOUNCE_INTERVAL_MILLISECONDS = 5_000;
const MAX_TOASTS = 3;

const pending = new Map();
let announceTimer = null;

/** Shows a message. `kind`: "good" or "bad". */
export function toast(text, kind = "good") {
  const made = document.createElement("p");
  made.className = `toast ${kind}`;
  made.setAttribute("role", kind === "bad" ? "alert" : "status");
  made.textContent = text;
  const all = byId("toasts");
  all.append(made);
  while (all.children.length > MAX_TOASTS) all.firstElementChild.remove();
  setTimeout(() => made.remove(), TOAST_MILLISECONDS);
}

/** Shows a problem as a sentence. */
export function showProblem(problem) {
  const text = problem.message || "Something went wrong";
  toast(`${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`, "bad");
}

/** A notice of the client: requests and new friends are shown, presence is only announced. */
export function showNotice({ kind, id, name }) {
  const who = clipped(name || id);
  if (kind === "requested" || kind === "added") toast(arrivals([who], kind));
  else pending.set(kind, [...(pending.get(kind) ?? []), who]);
  announceTimer ??= setTimeout(announce, ANNOUNCE_INTERVAL_MILLISECONDS);
}

/** Discards what was not announced yet. */
export function discardAnnouncements() {
  pending.clear();
}

function announce() {
  announceTimer = null;
  byId("announcer").textContent = [...pending].map(([kind, names]) => `${arrivals(names, kind)}.`).join(" ");
  pending.clear();
}
