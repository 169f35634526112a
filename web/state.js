/**
 * What a client shows, from the messages it hears. Pure: every function takes a state and returns another one; nothing
 * here knows a network, a clock or a page. The same rules as `pubnub_bridge/client/friend_list.py`, held together by shared traces.
 *
 * Messages may come twice, late and in any order:
 * - per friend the newest `ts` wins; on a tie a notice beats a sync, then the higher `at`;
 * - a removed friend leaves a tombstone that older messages cannot pass;
 * - a sync sets all friends as of its `ts`, and is the floor for older messages about friends not in it; that somebody
 *   is not in it says nothing of the friendship, so an older beginning or end of it that comes late still counts;
 * - the parts of a sync are applied together; a newer sync discards an incomplete one;
 * - without a `status.count` for its `validFor`, counted by arrival, presence is unknown.
 *
 * A message of another major schema version, of an unknown type or without what its type must have is ignored and
 * counted: `ignored` and `newer` tell. Members that are not known are ignored without a word.
 */

/** Milliseconds that presence is believed before the first status.count says for how long. */
export const TRUST = 30_000;
const MAJOR = "1";
const LONGEST_NAME = 256;

/** The state before anything was heard. `now`: milliseconds of a clock that only goes forward. */
export function initial(now) {
  return {
    friends: new Map(),
    requests: new Map(),
    total: null,
    everyone: null,
    trend: [],
    degraded: null,
    believedUntil: now + TRUST,
    ignored: 0,
    newer: false,
    heard: 0,
    removed: new Map(),
    related: new Map(),
    floor: 0,
    parts: null,
  };
}

/** The state after a message, in whatever order messages come. Never throws: what cannot be used is counted. */
export function apply(state, message, now) {
  const draft = drafted(state);
  draft.heard += 1;
  try {
    take(draft, message, now);
  } catch {
    return { ...state, heard: draft.heard, ignored: state.ignored + 1 };
  }
  return draft;
}

/** Merges rows of an HTTP answer (`id`, `name`, `online`, `lastSeen`), read at `ts` (ISO 8601). */
export function page(state, rows, ts) {
  const draft = drafted(state);
  const at = micros(ts);
  for (const row of rows) rowed(draft, { ...row, userId: row.id }, at);
  return draft;
}

/** After all pages: friends who were in none of them are none any more. `ts`: of the first page; `ids`: of all. */
export function listed(state, ids, ts) {
  const draft = drafted(state);
  const at = micros(ts);
  for (const [id, friend] of draft.friends) if (!ids.has(id) && friend.proof <= at) draft.friends.delete(id);
  return draft;
}

/**
 * Merges the pending requests of one direction. `since`: the state's `heard` when they were asked for; of whom
 * something was heard afterwards, that counts.
 */
export function pending(state, direction, rows, since) {
  const draft = drafted(state);
  const incoming = direction === "in";
  const later = (id) => (draft.related.get(id)?.heard ?? -1) > since;
  for (const [id, one] of draft.requests) if (one.incoming === incoming && !later(id)) draft.requests.delete(id);
  for (const row of rows) {
    if (!later(row.id)) draft.requests.set(row.id, { id: row.id, name: named(row.name), incoming, at: row.at ?? null });
  }
  return draft;
}

/** Why presence cannot be told now: "degraded" (said by the service), "silence" (nothing said in time), or null. */
export function unknown(state, now) {
  if (state.degraded !== null) return "degraded";
  return now >= state.believedUntil ? "silence" : null;
}

/** Ids of the friends who are online. */
export function online(state) {
  return [...state.friends.values()].filter((friend) => friend.online).map((friend) => friend.id);
}

/** Microseconds since the epoch of an ISO 8601 UTC time. Throws where it is none. */
export function micros(text) {
  const found = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text);
  const whole = found ? Date.parse(`${found[1]}Z`) : NaN;
  if (Number.isNaN(whole)) throw new TypeError("not a time");
  return whole * 1000 + Number((found[2] ?? "").padEnd(6, "0").slice(0, 6));
}

function drafted(state) {
  return {
    ...state,
    friends: new Map(state.friends),
    requests: new Map(state.requests),
    removed: new Map(state.removed),
    related: new Map(state.related),
  };
}

function take(draft, message, now) {
  const version = String(message.schemaVersion ?? "1.0.0");
  if (version.split(".")[0] !== MAJOR) {
    draft.newer = true;
    draft.ignored += 1;
    return;
  }
  const { type, payload } = message;
  const ts = micros(message.ts);
  if (type === "friend.batch") for (const event of payload.events) takeOne(draft, event, now);
  else if (type === "friends.sync") part(draft, ts, payload);
  else if (type === "friend.online" || type === "friend.offline") told(draft, type, payload, ts);
  else if (type === "friend.added" || type === "friend.removed" || type === "friend.requested") relation(draft, type, payload, ts);
  else if (type === "status.count") counted(draft, payload, ts, now);
  else draft.ignored += 1;
}

/** An event of a batch: one that cannot be used does not take the others with it. */
function takeOne(draft, event, now) {
  try {
    take(draft, event, now);
  } catch {
    draft.ignored += 1;
  }
}

function told(draft, type, payload, ts) {
  presence(draft, payload, type === "friend.online", [ts, 1, payload.at ?? 0]);
}

/** A row of a page: where newer presence is known, it still tells the name and that there is a friendship. */
function rowed(draft, row, at) {
  if (beforeFloor(draft, row.id, at)) offlineFriend(draft, row, at);
  else presence(draft, row, row.online, [at, 0, 0]);
  const friend = draft.friends.get(row.id);
  if (friend) draft.friends.set(row.id, { ...friend, name: named(row.name) || friend.name, lastSeen: latest(row, friend), since: row.since ?? null });
}

/** `proof`: whether only a friend is told of this. */
function presence(draft, said, isOnline, key, proof = true) {
  const id = identified(said);
  if (key[0] <= (draft.removed.get(id) ?? -1)) return;
  const before = draft.friends.get(id);
  const newest = Math.max(before?.proof ?? 0, proof ? key[0] : 0);
  if (older(key, before?.key ?? [draft.floor, 0, 0])) {
    if (before && newest > before.proof) draft.friends.set(id, { ...before, proof: newest });
    return;
  }
  draft.friends.set(id, { ...friendOf(id, said, before), online: Boolean(isOnline), key, proof: newest });
}

function relation(draft, type, payload, ts) {
  const id = identified(payload);
  if (type === "friend.added") added(draft, id, payload, ts);
  if (type === "friend.removed") {
    draft.removed.set(id, Math.max(ts, draft.removed.get(id) ?? -1));
    if ((draft.friends.get(id)?.proof ?? Infinity) <= ts) draft.friends.delete(id);
  }
  if (ts < (draft.related.get(id)?.ts ?? -1)) return;
  draft.related.set(id, { ts, heard: draft.heard, type });
  if (type === "friend.requested") {
    draft.requests.set(id, { id, name: named(payload.name), incoming: payload.requestedBy === id, at: isoMillis(ts) });
  } else draft.requests.delete(id);
}

function added(draft, id, payload, ts) {
  if (beforeFloor(draft, id, ts)) offlineFriend(draft, payload, ts);
  else presence(draft, payload, payload.online, [ts, 1, payload.at ?? 0]);
}

/** Whether a friendship is told of after a newer sync, which did not name them: so there is one, and they are offline. */
function beforeFloor(draft, id, ts) {
  return ts < draft.floor && !draft.friends.has(id) && ts > (draft.removed.get(id) ?? -1);
}

function offlineFriend(draft, said, ts) {
  const id = identified(said);
  draft.friends.set(id, { ...friendOf(id, said), online: false, key: [draft.floor, 0, 0], proof: ts });
}

function part(draft, ts, payload) {
  const number = payload.part ?? 1;
  const total = payload.parts ?? 1;
  const ids = payload.onlineFriends;
  if (!Array.isArray(ids)) throw new TypeError("not a list");
  let parts = draft.parts;
  if (parts === null || ts > parts.ts || (ts === parts.ts && total !== parts.total)) parts = { ts, total, have: new Map() };
  if (ts < parts.ts) return;
  parts = { ...parts, have: new Map(parts.have).set(number, ids) };
  if (parts.have.size === total) {
    sync(draft, ts, new Set([...parts.have.values()].flat()), payload.totalFriends);
    parts = { ...parts, have: new Map() };
  }
  draft.parts = parts;
}

function sync(draft, ts, ids, total) {
  draft.total = total;
  for (const id of new Set([...ids, ...draft.friends.keys()])) {
    presence(draft, { userId: id }, ids.has(id), [ts, 0, 0], ids.has(id));
  }
  draft.floor = Math.max(draft.floor, ts);
}

function counted(draft, payload, ts, now) {
  if (draft.everyone !== null && ts < draft.everyone.ts) return;
  const { onlineCount, delta, validFor } = payload;
  if (![onlineCount, delta, validFor].every(Number.isFinite)) throw new TypeError("not numbers");
  if (draft.everyone?.ts !== ts) draft.trend = [...draft.trend.slice(-59), onlineCount];
  draft.everyone = { online: onlineCount, delta, ts };
  draft.degraded = payload.degraded ? String(payload.reason ?? "the service is behind") : null;
  draft.believedUntil = now + validFor * 1000;
}

function friendOf(id, said, before) {
  const lastSeen = said.lastSeen ?? before?.lastSeen ?? null;
  return { id, name: named(said.name) || before?.name || "", lastSeen, since: before?.since ?? null };
}

function latest(row, friend) {
  return [row.lastSeen, friend.lastSeen].filter(Boolean).sort().at(-1) ?? null;
}

function identified(said) {
  if (typeof said.userId !== "string" || said.userId === "") throw new TypeError("no user");
  return said.userId;
}

function named(name) {
  return typeof name === "string" ? name.slice(0, LONGEST_NAME) : "";
}

function older(one, other) {
  for (let i = 0; i < 3; i += 1) if (one[i] !== other[i]) return one[i] < other[i];
  return false;
}

function isoMillis(ts) {
  return new Date(ts / 1000).toISOString();
}
