/**
 * Friends with live presence, for browsers and Node: `const me = await connect({session})`. See friends-presence.d.ts.
 *
 * Composition only: `state.js` decides what is shown, `api.js` asks the service, `connection.js` listens through PubNub.
 * Nothing is stored anywhere: tokens and people live in this object's memory and end with it.
 */

import { Calls, Refused, Unreachable, of } from "./api.js";
import { Link } from "./connection.js";
import * as view from "./state.js";

export { Refused, Unreachable };

/** Milliseconds, at most, before a sync is asked for: many clients connect again at once. */
const JITTER = 200;
/** Milliseconds between two readings of the whole list. */
const LIST_PAUSE = 5_000;
/** Milliseconds between two attempts to get a session. */
const RENEW_PAUSE = 5_000;
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Connects one person. Resolves when the first friends are known and the connection was begun.
 * Throws `Refused` (`signedOut` where the token is wrong or has ended) or `Unreachable`.
 */
export async function connect({ session, PubNub = globalThis.PubNub, fetch = (...given) => globalThis.fetch(...given) }) {
  if (!PubNub) throw new TypeError("PubNub's SDK is not loaded");
  const calls = new Calls(session, fetch);
  const client = new Client(calls, PubNub, await calls.session());
  try {
    await client.begin();
  } catch (problem) {
    client.close();
    throw problem;
  }
  return client;
}

class Client {
  constructor(calls, PubNub, session) {
    this.calls = calls;
    this.userId = session.userId;
    /** `{state, reason}`: connecting, connected, reconnecting, signedOut or closed. */
    this.connection = { state: "connecting", reason: null };
    this.state = view.initial(performance.now());
    this.listeners = new Map();
    this.known = null;
    this.listing = null;
    this.listedAt = -Infinity;
    this.link = new Link(PubNub, session, {
      message: (body) => this.take(body),
      connected: () => this.connected(),
      flooded: () => this.caughtUp(),
      trouble: (reason) => this.turn("reconnecting", reason),
      refused: () => this.renew(),
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

  /** `{online, delta, trend}`: how many people are online in all; null before the first count. */
  get everyone() {
    const { everyone, trend } = this.state;
    return everyone && { online: everyone.online, delta: everyone.delta, trend };
  }

  /** Why presence cannot be told: "silence", "degraded", or null when it can. */
  get unknown() {
    return view.unknown(this.state, performance.now());
  }

  /** The service's time, milliseconds since the epoch, whatever this device's clock says. */
  now() {
    return Date.now() + this.calls.ahead;
  }

  /** Hears "change", "connection", "notice" (`{kind, id, name}`) and "problem" (an error). Returns the way to stop. */
  on(name, listener) {
    const heard = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, heard.add(listener));
    return () => heard.delete(listener);
  }

  /** Asks for friendship, or accepts where the other asked. */
  ask(id) {
    return this.act("PUT", of("friends", id));
  }

  /** The same as `ask`, for one who asked. */
  accept(id) {
    return this.ask(id);
  }

  /** Ends a friendship. */
  remove(id) {
    return this.act("DELETE", of("friends", id));
  }

  /** Declines a request, or takes the own one back. */
  decline(id) {
    return this.act("DELETE", of("requests", id));
  }

  /** Ends whatever there is between the two, and keeps the other from asking. */
  block(id) {
    return this.act("PUT", of("blocks", id));
  }

  /** Lets the other ask again. */
  unblock(id) {
    return this.act("DELETE", of("blocks", id));
  }

  /** Appears offline to friends, or not. */
  appearOffline(invisible) {
    return this.act("PUT", "/v1/me/visibility", { invisible });
  }

  /** People one may know, each with the reason. */
  async suggestions(limit = 20) {
    return (await this.calls.call("GET", `/v1/suggestions?limit=${limit}`)).suggestions;
  }

  /** Whom one blocks. */
  async blocks() {
    const found = [];
    await this.calls.pages("/v1/blocks", (page) => found.push(...page.blocks));
    return found;
  }

  /** One friend, with the number of friends in common. */
  friend(id) {
    return this.calls.call("GET", of("friends", id));
  }

  /** Some friends in common. */
  async mutual(id, limit = 6) {
    return (await this.calls.call("GET", `${of("friends", id)}/mutual?limit=${limit}`)).friends;
  }

  /** To be called when the device wakes up or the page is looked at again: tries now instead of after a pause. */
  wake() {
    if (["closed", "signedOut"].includes(this.connection.state)) return;
    this.link.again();
    this.plan(this.link.session);
  }

  /** Leaves and ends. `unloading`: because the page goes away. */
  close(unloading = false) {
    clearInterval(this.doubt);
    clearTimeout(this.renewal);
    clearTimeout(this.listing);
    this.link.close(unloading);
    this.turn("closed", null);
  }

  async begin() {
    this.doubt = setInterval(() => this.reconsider(), 1_000);
    this.plan(this.link.session);
    this.link.open();
    await this.list();
  }

  take(body) {
    const before = this.state;
    this.state = view.apply(before, body, performance.now());
    for (const notice of noticed(before, this.state)) this.tell("notice", notice);
    if (body?.type === "friends.sync" && this.incomplete()) this.listSoon();
    this.reconsider(true);
  }

  /** Whether the list must be read: names or people are missing, or there is somebody too many. */
  incomplete() {
    const { friends, total } = this.state;
    return friends.size !== total || [...friends.values()].some((friend) => !friend.name);
  }

  connected() {
    this.turn("connected", null);
    this.caughtUp();
  }

  /** Something may have been missed: a sync tells who is online, the lists tell who is a friend. */
  caughtUp() {
    setTimeout(() => this.quietly(this.calls.sync()), Math.random() * JITTER);
    if (performance.now() - this.listedAt > 1_000) this.listSoon();
  }

  listSoon() {
    if (this.listing) return;
    const pause = Math.max(Math.random() * JITTER, this.listedAt + LIST_PAUSE - performance.now());
    this.listing = setTimeout(() => this.quietly(this.list()), pause);
  }

  async list() {
    clearTimeout(this.listing);
    this.listing = null;
    this.listedAt = performance.now();
    const ids = new Set();
    let first = null;
    await this.calls.pages("/v1/friends", ({ friends, ts }) => {
      first ??= ts;
      for (const friend of friends) ids.add(friend.id);
      this.state = view.page(this.state, friends, ts);
    });
    this.state = view.listed(this.state, ids, first);
    await Promise.all([this.pending("in"), this.pending("out")]);
    this.reconsider(true);
  }

  async pending(direction) {
    const since = this.state.heard;
    const rows = [];
    await this.calls.pages(`/v1/requests?direction=${direction}`, (page) => rows.push(...page.requests));
    this.state = view.pending(this.state, direction, rows, since);
  }

  /** Does something; the inbox tells what came of it, and where nothing is heard the lists are read again. */
  async act(method, path, body) {
    const outcome = await this.calls.call(method, path, body);
    if (this.connection.state !== "connected") this.listSoon();
    return outcome;
  }

  plan(session) {
    clearTimeout(this.renewal);
    if (!session.renewAt) return;
    const wait = Math.max(session.renewAt * 1000 - this.now(), RENEW_PAUSE);
    this.renewal = setTimeout(() => this.renew(), Math.min(wait, LONGEST_TIMER));
  }

  async renew() {
    try {
      const session = await this.calls.session();
      this.link.renew(session);
      this.plan(session);
    } catch (problem) {
      if (problem.signedOut) this.end(problem);
      else this.plan({ renewAt: 1 });
    }
  }

  end(problem) {
    this.close();
    this.turn("signedOut", problem.message);
  }

  /** Tells of a change: always when asked to, else when presence became unknown or known. */
  reconsider(changed = false) {
    const { unknown } = this;
    if (!changed && unknown === this.known) return;
    this.known = unknown;
    this.tell("change", this);
  }

  turn(state, reason) {
    if (this.connection.state === "signedOut") return;
    this.connection = { state, reason };
    this.tell("connection", this.connection);
  }

  tell(name, what) {
    for (const listener of this.listeners.get(name) ?? []) listener(what);
  }

  async quietly(promise) {
    try {
      await promise;
    } catch (problem) {
      if (problem.signedOut) this.end(problem);
      else this.tell("problem", problem);
    }
  }
}

/** What a person would be told of, by comparing two states. Nothing before friends were known at all. */
function noticed(before, after) {
  if (before.total === null || before.friends === after.friends) return [];
  const found = [];
  for (const [id, friend] of after.friends) {
    const was = before.friends.get(id);
    if (was === friend) continue;
    if (!was && newlyAdded(before, after, id)) found.push({ kind: "added", id, name: friend.name });
    else if (was && was.online !== friend.online) found.push({ kind: friend.online ? "online" : "offline", id, name: friend.name });
  }
  for (const [id, request] of after.requests) {
    if (request.incoming && !before.requests.has(id)) found.push({ kind: "requested", id, name: request.name });
  }
  return found;
}

function newlyAdded(before, after, id) {
  const told = after.related.get(id);
  return told?.type === "friend.added" && told !== before.related.get(id);
}
