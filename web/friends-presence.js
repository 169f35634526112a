/**
 * Friends with live presence, for browsers and Node: `const me = await connect({session})`. See friends-presence.d.ts.
 *
 * Composition: `state.js` decides what is shown, `api.js` calls the service, `connection.js` listens through PubNub.
 * Nothing is stored: tokens and users are in this object's memory only.
 */

import { ApiClient, Refused, Unreachable, pathOf } from "./api.js";
import { Connection } from "./connection.js";
import * as view from "./state.js";

export { Refused, Unreachable };

/** Before a sync is requested: many clients reconnect at once. */
const MAX_JITTER_MILLISECONDS = 200;
/** Between two reads of the whole list. */
const LIST_INTERVAL_MILLISECONDS = 5_000;
/** Within this time after a read the list is not read again on a reconnect. */
const LIST_FRESH_MILLISECONDS = 1_000;
/** Between two attempts to get a session. */
const RENEW_INTERVAL_MILLISECONDS = 5_000;
/** Between two checks whether presence has become unknown. */
const CHECK_INTERVAL_MILLISECONDS = 1_000;
const MAX_TIMER_MILLISECONDS = 2 ** 31 - 1;

/**
 * Connects one user. Resolves when the first friends are known and the connection is opening.
 * Throws `Refused` (`signedOut` where the token is wrong or has ended) or `Unreachable`.
 */
export async function connect({ session, PubNub = globalThis.PubNub, fetch = (...args) => globalThis.fetch(...args) }) {
  if (!PubNub) throw new TypeError("PubNub's SDK is not loaded");
  const api = new ApiClient(session, fetch);
  const client = new Client({ api, PubNub, session: await api.session() });
  try {
    await client.start();
  } catch (problem) {
    client.close();
    throw problem;
  }
  return client;
}

class Client {
  constructor({ api, PubNub, session }) {
    this.api = api;
    this.userId = session.userId;
    /** `{state, reason}`: connecting, connected, reconnecting, signedOut or closed. */
    this.connection = { state: "connecting", reason: null };
    this.state = view.initial(performance.now());
    this.listeners = new Map();
    this.emittedUnknown = null;
    this.listTimer = null;
    this.listedAt = -Infinity;
    this.pubnub = new Connection({
      PubNub,
      session,
      handlers: {
        message: (body) => this.onMessage(body),
        connected: () => this.onConnected(),
        flooded: () => this.resync(),
        trouble: (reason) => this.setConnection("reconnecting", reason),
        refused: () => this.renew(),
      },
    });
  }

  /** All friends: `{id, name, online, lastSeen, since}`; `online` is null while presence is unknown. */
  get friends() {
    const hidden = this.unknown !== null;
    return [...this.state.friends.values()].map(({ key, proof, ...friend }) => (hidden ? { ...friend, online: null } : friend));
  }

  /** Pending requests, `incoming` and `outgoing`: lists of `{id, name, at}`. */
  get requests() {
    const all = [...this.state.requests.values()].sort((one, other) => (one.at < other.at ? 1 : -1));
    return { incoming: all.filter((one) => one.incoming), outgoing: all.filter((one) => !one.incoming) };
  }

  /** `{online, delta, trend}`: how many users are online in all; null before the first count. */
  get everyone() {
    const { everyone, trend } = this.state;
    return everyone && { online: everyone.online, delta: everyone.delta, trend };
  }

  /** Why presence is unknown: "silence", "degraded", or null when it is known. */
  get unknown() {
    return view.unknown(this.state, performance.now());
  }

  /** The service's time, milliseconds since the epoch, whatever this device's clock says. */
  now() {
    return Date.now() + this.api.clockOffset;
  }

  /** Listens to "change", "connection", "notice" (`{kind, id, name}`) or "problem" (an error). Returns a function that stops it. */
  on(name, listener) {
    const listeners = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Requests a friendship, or accepts the other user's request. */
  ask(id) {
    return this.act("PUT", pathOf("friends", id));
  }

  /** The same as `ask`, for an incoming request. */
  accept(id) {
    return this.ask(id);
  }

  /** Ends a friendship. */
  remove(id) {
    return this.act("DELETE", pathOf("friends", id));
  }

  /** Declines an incoming request, or cancels an outgoing one. */
  decline(id) {
    return this.act("DELETE", pathOf("requests", id));
  }

  /** Ends any friendship or request between the two users, and prevents new requests of the other. */
  block(id) {
    return this.act("PUT", pathOf("blocks", id));
  }

  /** Allows requests of the other user again. */
  unblock(id) {
    return this.act("DELETE", pathOf("blocks", id));
  }

  /** Appears offline to friends, or not. */
  appearOffline(invisible) {
    return this.act("PUT", "/v1/me/visibility", { invisible });
  }

  /** Users that this user may know, each with the reason. */
  async suggestions(limit = 20) {
    return (await this.api.request("GET", `/v1/suggestions?limit=${limit}`)).suggestions;
  }

  /** Users that this user blocks. */
  async blocks() {
    const all = [];
    await this.api.pages("/v1/blocks", (page) => all.push(...page.blocks));
    return all;
  }

  /** One friend, with the number of friends in common. */
  friend(id) {
    return this.api.request("GET", pathOf("friends", id));
  }

  /** Some of the friends in common. */
  async mutual(id, limit = 6) {
    return (await this.api.request("GET", `${pathOf("friends", id)}/mutual?limit=${limit}`)).friends;
  }

  /** To be called when the device wakes up or the page becomes visible: reconnects now instead of after the backoff. */
  wake() {
    if (["closed", "signedOut"].includes(this.connection.state)) return;
    this.pubnub.reconnect();
    this.planRenewal(this.pubnub.session);
  }

  /** Leaves and closes. `unloading`: because the page goes away. */
  close(unloading = false) {
    clearInterval(this.checkTimer);
    clearTimeout(this.renewTimer);
    clearTimeout(this.listTimer);
    this.pubnub.close(unloading);
    this.setConnection("closed", null);
  }

  async start() {
    this.checkTimer = setInterval(() => this.emitChange({ always: false }), CHECK_INTERVAL_MILLISECONDS);
    this.planRenewal(this.pubnub.session);
    this.pubnub.open();
    await this.list();
  }

  onMessage(body) {
    const before = this.state;
    this.state = view.apply(before, body, performance.now());
    for (const notice of noticesOf(before, this.state)) this.emit("notice", notice);
    if (body?.type === "friends.sync" && this.incomplete()) this.listSoon();
    this.emitChange({ always: true });
  }

  /** Whether the list must be read: a name is missing, or the number of friends differs from the sync's. */
  incomplete() {
    const { friends, total } = this.state;
    return friends.size !== total || [...friends.values()].some((friend) => !friend.name);
  }

  onConnected() {
    this.setConnection("connected", null);
    this.resync();
  }

  /** Messages may have been missed: a sync returns who is online, the lists return who is a friend. */
  resync() {
    setTimeout(() => this.reportProblems(this.api.sync()), Math.random() * MAX_JITTER_MILLISECONDS);
    if (performance.now() - this.listedAt > LIST_FRESH_MILLISECONDS) this.listSoon();
  }

  listSoon() {
    if (this.listTimer) return;
    const pause = Math.max(Math.random() * MAX_JITTER_MILLISECONDS, this.listedAt + LIST_INTERVAL_MILLISECONDS - performance.now());
    this.listTimer = setTimeout(() => this.reportProblems(this.list()), pause);
  }

  async list() {
    clearTimeout(this.listTimer);
    this.listTimer = null;
    this.listedAt = performance.now();
    const ids = new Set();
    let first = null;
    await this.api.pages("/v1/friends", ({ friends, ts }) => {
      first ??= ts;
      for (const friend of friends) ids.add(friend.id);
      this.state = view.page(this.state, friends, ts);
    });
    this.state = view.listed(this.state, ids, first);
    await Promise.all([this.listRequests("in"), this.listRequests("out")]);
    this.emitChange({ always: true });
  }

  async listRequests(direction) {
    const since = this.state.received;
    const rows = [];
    await this.api.pages(`/v1/requests?direction=${direction}`, (page) => rows.push(...page.requests));
    this.state = view.pending(this.state, direction, rows, since);
  }

  /** Changes something. The inbox delivers what changed; while it is not connected the lists are read again instead. */
  async act(method, path, body) {
    const outcome = await this.api.request(method, path, body);
    if (this.connection.state !== "connected") this.listSoon();
    return outcome;
  }

  planRenewal(session) {
    clearTimeout(this.renewTimer);
    if (!session.renewAt) return;
    const wait = Math.max(session.renewAt * 1000 - this.now(), RENEW_INTERVAL_MILLISECONDS);
    this.renewTimer = setTimeout(() => this.renew(), Math.min(wait, MAX_TIMER_MILLISECONDS));
  }

  async renew() {
    try {
      const session = await this.api.session();
      this.pubnub.renew(session);
      this.planRenewal(session);
    } catch (problem) {
      if (problem.signedOut) this.signOut(problem);
      else this.planRenewal({ renewAt: 1 });
    }
  }

  signOut(problem) {
    this.close();
    this.setConnection("signedOut", problem.message);
  }

  /** Emits "change": with `always` in any case, else only when presence became unknown or known. */
  emitChange({ always }) {
    const { unknown } = this;
    if (!always && unknown === this.emittedUnknown) return;
    this.emittedUnknown = unknown;
    this.emit("change", this);
  }

  setConnection(state, reason) {
    if (this.connection.state === "signedOut") return;
    this.connection = { state, reason };
    this.emit("connection", this.connection);
  }

  emit(name, value) {
    for (const listener of this.listeners.get(name) ?? []) listener(value);
  }

  /** Awaits work that no caller waits for: a failure is emitted as "problem". */
  async reportProblems(promise) {
    try {
      await promise;
    } catch (problem) {
      if (problem.signedOut) this.signOut(problem);
      else this.emit("problem", problem);
    }
  }
}

/** What a user is notified of, by comparing two states. Nothing before the first friends are known. */
function noticesOf(before, after) {
  if (before.total === null || before.friends === after.friends) return [];
  const notices = [];
  for (const [id, friend] of after.friends) {
    const was = before.friends.get(id);
    if (was === friend) continue;
    if (!was && newlyAdded(before, after, id)) notices.push({ kind: "added", id, name: friend.name });
    else if (was && was.online !== friend.online) notices.push({ kind: friend.online ? "online" : "offline", id, name: friend.name });
  }
  for (const [id, request] of after.requests) {
    if (request.incoming && !before.requests.has(id)) notices.push({ kind: "requested", id, name: request.name });
  }
  return notices;
}

function newlyAdded(before, after, id) {
  const relation = after.related.get(id);
  return relation?.type === "friend.added" && relation !== before.related.get(id);
}
