/** Formats times, counts and states as text for users. Pure: no elements, no clock. */

const MINUTE_MILLISECONDS = 60_000;
const HOUR_MILLISECONDS = 60 * MINUTE_MILLISECONDS;
const DAY_MILLISECONDS = 24 * HOUR_MILLISECONDS;
const MAX_NAME_CHARACTERS = 48;
const STATES = {
  connecting: "Connecting…",
  connected: "Connected",
  closed: "Signed out",
  signedOut: "Your sign-in has ended",
};
const REASONS = {
  unreachable: "Connection lost. Trying again…",
  timeout: "The connection is slow. Trying again…",
  refused: "Access is being renewed…",
};

/** "Last seen 5 minutes ago". `at`: ISO 8601 or null; `now`: milliseconds by the service's clock. */
export function lastSeen(at, now) {
  if (!at) return "Offline";
  const then = Date.parse(at);
  const ago = now - then;
  if (Number.isNaN(then)) return "Offline";
  if (ago < MINUTE_MILLISECONDS) return "Last seen just now";
  if (ago < HOUR_MILLISECONDS) return `Last seen ${plural(Math.floor(ago / MINUTE_MILLISECONDS), "minute")} ago`;
  if (ago < DAY_MILLISECONDS) return `Last seen ${plural(Math.floor(ago / HOUR_MILLISECONDS), "hour")} ago`;
  if (ago < 2 * DAY_MILLISECONDS) return "Last seen yesterday";
  if (ago < 30 * DAY_MILLISECONDS) return `Last seen ${plural(Math.floor(ago / DAY_MILLISECONDS), "day")} ago`;
  return `Last seen on ${day(then)}`;
}

/** "Friends since 4 March 2024", or empty. */
export function since(at) {
  return at ? `Friends since ${day(Date.parse(at))}` : "";
}

/** A friend's presence: "online", "offline" or "unknown". */
export function presence(friend) {
  if (friend.online === null) return "unknown";
  return friend.online ? "online" : "offline";
}

/** The line below a friend's name. */
export function status(friend, now) {
  if (friend.online === null) return "Not known right now";
  return friend.online ? "Online" : lastSeen(friend.lastSeen, now);
}

/** The connection's state. */
export function connection({ state, reason }) {
  return STATES[state] ?? REASONS[reason] ?? "Trying again…";
}

/** Why no friend is shown as online, or empty. */
export function unknownPresence(unknown) {
  if (unknown === "silence") return "The service has been silent for a while, so who is online is not known. This page recovers without a reload.";
  if (unknown === "degraded") return "The service is catching up, so who is online is not known for the moment.";
  return "";
}

/** "8 friends in common: Ann, Ben and Cleo; 2 of them online". */
export function mutual({ mutualCount, mutuals }) {
  const names = mutuals.map((one) => clipped(one.name || one.id));
  const rest = mutualCount - names.length;
  const listed = sequence(rest > 0 ? [...names, plural(rest, "other")] : names);
  const online = mutuals.filter((one) => one.online).length;
  return `${plural(mutualCount, "friend")} in common: ${listed}${online ? ` · ${online} online` : ""}`;
}

/** How the number of users online has changed over the known counts. */
export function trend(counts) {
  const change = counts.length > 1 ? counts.at(-1) - counts[0] : 0;
  if (change === 0) return "steady";
  return `${change > 0 ? "up" : "down"} ${number(Math.abs(change))}`;
}

/** "1 friend", "1,200 friends". */
export function plural(count, word) {
  return `${number(count)} ${word}${count === 1 ? "" : "s"}`;
}

/** A whole number with separators. */
export function number(count) {
  return count.toLocaleString("en");
}

/** What happened to several friends at once, for a screen reader. */
export function arrivals(names, kind) {
  const did = { online: "came online", offline: "went offline", added: "is a friend now", requested: "asked to be your friend" }[kind];
  if (names.length <= 2) return `${sequence(names.map(clipped))} ${kind === "added" && names.length > 1 ? "are friends now" : did}`;
  return `${plural(names.length, kind === "requested" ? "person" : "friend")} ${kind === "added" ? "joined your list" : did}`.replace("persons", "people");
}

/** The one or two letters of an avatar. */
export function initials(name) {
  const words = [...name.matchAll(/[\p{L}\p{N}][\p{L}\p{N}'’]*/gu)].map(([word]) => word);
  const picked = words.length > 1 ? [words[0], words.at(-1)] : words;
  return picked.map((word) => [...word][0].toLocaleUpperCase()).join("") || "?";
}

/** A hue of 0 to 359, a hash of the id. */
export function hue(id) {
  let sum = 2166136261;
  for (const character of id) sum = Math.imul(sum ^ character.codePointAt(0), 16777619);
  sum = Math.imul(sum ^ (sum >>> 15), 2246822519);
  return ((sum ^ (sum >>> 13)) >>> 0) % 360;
}

/** A name, shortened where it would break a list. */
export function clipped(name) {
  const characters = [...name];
  return characters.length > MAX_NAME_CHARACTERS ? `${characters.slice(0, MAX_NAME_CHARACTERS - 1).join("")}…` : name;
}

/** For searching: without case and accents. */
export function folded(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

function sequence(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function day(then) {
  return new Date(then).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
}
