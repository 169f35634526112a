/**
 * What a client shows, as a reducer over messages: last write wins by `ts`. Pure: every function takes a state and
 * returns a new one; time is passed in. The same rules as `pubnub_bridge/client/friend_list.py`; shared traces
 * (`tests/support/client_traces.py`) check that both end with the same view.
 *
 * Messages can arrive twice, late and in any order. Invariants:
 * - per friend the newest `ts` wins; on a tie a notification wins over a sync, then the higher `at`;
 * - a removed friend leaves a tombstone that older messages cannot pass;
 * - a sync sets all friends as of its `ts`, and is the floor for older messages about friends not in it; a user who is
 *   not in it may still be a friend, so an older start or end of the friendship that arrives late still counts;
 * - the parts of a sync are applied together; a newer sync discards an incomplete one;
 * - without a `status.count` for its `validFor`, counted by arrival, presence is unknown.
 *
 * A message of another major schema version, of an unknown type or without the members of its type is ignored and
 * counted in `ignored`, another major version also sets `newer`. Unknown members are ignored.
 */

/** How long presence is trusted before the first status.count says for how long. */
export const TRUST_MILLISECONDS = 30_000;
const MAJOR_VERSION = "1";
const MAX_NAME_CHARACTERS = 256;
const MAX_TREND_COUNTS = 60;

/** The state before the first message. `now`: milliseconds of a monotonic clock. */
export function initial(now) {
  return {
    friends: new Map(),
    requests: new Map(),
    total: null,
    everyone: null,
    trend: [],
    degraded: null,
    believedUntil: now + TRUST_MILLISECONDS,
    ignored: 0,
    newer: false,
    received: 0,
    removed: new Map(),
    related: new Map(),
    floor: 0,
    parts: null,
  };
}

/** The state after a message, in any order of messages. Never throws: an unusable message is counted. */
export function apply(state, message, now) {
  const draft = draftOf(state);
  draft.received += 1;
  try {
    applyMessage(draft, message, now);
  } catch {
    return { ...state, received: draft.received, ignored: state.ignored + 1 };
  }
  return draft;
}

/** Merges rows of an HTTP response (`id`, `name`, `online`, `lastSeen`), read at `ts` (ISO 8601). */
export function page(state, rows, ts) {
  const draft = draftOf(state);
  const at = micros(ts);
  for (const row of rows) applyRow(draft, { ...row, userId: row.id }, at);
  return draft;
}

/** After all pages: removes friends who were in none of them. `ts`: of the first page; `ids`: of all pages. */
export function listed(state, ids, ts) {
  const draft = draftOf(state);
  const at = micros(ts);
  for (const [id, friend] of draft.friends) if (!ids.has(id) && friend.proof <= at) draft.friends.delete(id);
  return draft;
}

/**
 * Merges the pending requests of one direction. `since`: the state's `received` when they were requested; a user about
 * whom a message arrived afterwards is left as that message says.
 */
export function pending(state, direction, rows, since) {
  const draft = draftOf(state);
  const incoming = direction === "in";
  const later = (id) => (draft.related.get(id)?.received ?? -1) > since;
  for (const [id, one] of draft.requests) if (one.incoming === incoming && !later(id)) draft.requests.delete(id);
  for (const row of rows) {
    if (!later(row.id)) draft.requests.set(row.id, { id: row.id, name: nameOf(row.name), incoming, at: row.at ?? null });
  }
  return draft;
}

/** Why presence is unknown now: "degraded" (reported by the service), "silence" (no count in time), or null. */
export function unknown(state, now) {
  if (state.degraded !== null) return "degraded";
  return now >= state.believedUntil ? "silence" : null;
}

/** Ids of the friends who are online. */
export function online(state) {
  return [...state.friends.values()].filter((friend) => friend.online).map((friend) => friend.id);
}

/** Microseconds since the epoch of an ISO 8601 UTC time. Throws where it is malformed. */
export function micros(text) {
  const matched = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text);
  const whole = matched ? Date.parse(`${matched[1]}Z`) : NaN;
  if (Number.isNaN(whole)) throw new TypeError("not a time");
  return whole * 1000 + Number((matched[2] ?? "").padEnd(6, "0").slice(0, 6));
}

function draftOf(state) {
  return {
    ...state,
    friends: new Map(state.friends),
    requests: new Map(state.requests),
    removed: new Map(state.removed),
    related: new Map(state.related),
  };
}

function applyMessage(draft, message, now) {
  const version = String(message.schemaVersion ?? "1.0.0");
  if (version.split(".")[0] !== MAJOR_VERSION) {
    draft.newer = true;
    draft.ignored += 1;
    return;
  }
  const { type, payload } = message;
  const ts = micros(message.ts);
  if (type === "friend.batch") for (const event of payload.events) applyEvent(draft, event, now);
  else if (type === "friends.sync") applyPart(draft, ts, payload);
  else if (type === "friend.online" || type === "friend.offline") applyPresence(draft, payload, type === "friend.online", [ts, 1, payload.at ?? 0]);
  else if (type === "friend.added" || type === "friend.removed" || type === "friend.requested") applyRelation(draft, type, payload, ts);
  else if (type === "status.count") applyCount(draft, payload, ts, now);
  else draft.ignored += 1;
}

/** An event of a batch: an unusable one is counted and the others still apply. */
function applyEvent(draft, event, now) {
  try {
    applyMessage(draft, event, now);
  } catch {
    draft.ignored += 1;
  }
}

/** A row of a page: where newer presence is known, it still provides the name and proves the friendship. */
function applyRow(draft, row, at) {
  if (beforeFloor(draft, row.id, at)) addOffline(draft, row, at);
  else applyPresence(draft, row, row.online, [at, 0, 0]);
  const friend = draft.friends.get(row.id);
  if (friend) draft.friends.set(row.id, { ...friend, name: nameOf(row.name) || friend.name, lastSeen: latestSeen(row, friend), since: row.since ?? null });
}

/** `proof`: whether only a friend receives this message. */
function applyPresence(draft, payload, isOnline, key, proof = true) {
  const id = userIdOf(payload);
  if (key[0] <= (draft.removed.get(id) ?? -1)) return;
  const before = draft.friends.get(id);
  const newest = Math.max(before?.proof ?? 0, proof ? key[0] : 0);
  if (isOlder(key, before?.key ?? [draft.floor, 0, 0])) {
    if (before && newest > before.proof) draft.friends.set(id, { ...before, proof: newest });
    return;
  }
  draft.friends.set(id, { ...friendOf(id, payload, before), online: Boolean(isOnline), key, proof: newest });
}

function applyRelation(draft, type, payload, ts) {
  const id = userIdOf(payload);
  if (type === "friend.added") applyAdded(draft, id, payload, ts);
  if (type === "friend.removed") {
    draft.removed.set(id, Math.max(ts, draft.removed.get(id) ?? -1));
    if ((draft.friends.get(id)?.proof ?? Infinity) <= ts) draft.friends.delete(id);
  }
  if (ts < (draft.related.get(id)?.ts ?? -1)) return;
  draft.related.set(id, { ts, received: draft.received, type });
  if (type === "friend.requested") {
    draft.requests.set(id, { id, name: nameOf(payload.name), incoming: payload.requestedBy === id, at: isoMillis(ts) });
  } else draft.requests.delete(id);
}

function applyAdded(draft, id, payload, ts) {
  if (beforeFloor(draft, id, ts)) addOffline(draft, payload, ts);
  else applyPresence(draft, payload, payload.online, [ts, 1, payload.at ?? 0]);
}

/** Whether a friendship is reported after a newer sync that did not contain the user: a friend, then, and offline. */
function beforeFloor(draft, id, ts) {
  return ts < draft.floor && !draft.friends.has(id) && ts > (draft.removed.get(id) ?? -1);
}

function addOffline(draft, payload, ts) {
  const id = userIdOf(payload);
  draft.friends.set(id, { ...friendOf(id, payload), online: false, key: [draft.floor, 0, 0], proof: ts });
}

function applyPart(draft, ts, payload) {
  const number = payload.part ?? 1;
  const total = payload.parts ?? 1;
  const ids = payload.onlineFriends;
  if (!Array.isArray(ids)) throw new TypeError("not a list");
  let parts = draft.parts;
  if (parts === null || ts > parts.ts || (ts === parts.ts && total !== parts.total)) parts = { ts, total, have: new Map() };
  if (ts < parts.ts) return;
  parts = { ...parts, have: new Map(parts.have).set(number, ids) };
  if (parts.have.size === total) {
    applySync(draft, ts, new Set([...parts.have.values()].flat()), payload.totalFriends);
    parts = { ...parts, have: new Map() };
  }
  draft.parts = parts;
}

function applySync(draft, ts, ids, total) {
  draft.total = total;
  for (const id of new Set([...ids, ...draft.friends.keys()])) {
    applyPresence(draft, { userId: id }, ids.has(id), [ts, 0, 0], ids.has(id));
  }
  draft.floor = Math.max(draft.floor, ts);
}

function applyCount(draft, payload, ts, now) {
  if (draft.everyone !== null && ts < draft.everyone.ts) return;
  const { onlineCount, delta, validFor } = payload;
  if (![onlineCount, delta, validFor].every(Number.isFinite)) throw new TypeError("not numbers");
  if (draft.everyone?.ts !== ts) draft.trend = [...draft.trend.slice(1 - MAX_TREND_COUNTS), onlineCount];
  draft.everyone = { online: onlineCount, delta, ts };
  draft.degraded = payload.degraded ? String(payload.reason ?? "the service is behind") : null;
  draft.believedUntil = now + validFor * 1000;
}

function friendOf(id, payload, before) {
  const lastSeen = payload.lastSeen ?? before?.lastSeen ?? null;
  return { id, name: nameOf(payload.name) || before?.name || "", lastSeen, since: before?.since ?? null };
}

function latestSeen(row, friend) {
  return [row.lastSeen, friend.lastSeen].filter(Boolean).sort().at(-1) ?? null;
}

function userIdOf(payload) {
  if (typeof payload.userId !== "string" || payload.userId === "") throw new TypeError("no user");
  return payload.userId;
}

function nameOf(name) {
  return typeof name === "string" ? name.slice(0, MAX_NAME_CHARACTERS) : "";
}

function isOlder(one, other) {
  for (let i = 0; i < 3; i += 1) if (one[i] !== other[i]) return one[i] < other[i];
  return false;
}

function isoMillis(ts) {
  return new Date(ts / 1000).toISOString();
}
