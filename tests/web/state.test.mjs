// The rules of state.js one by one: what the shared traces do not cover.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TRUST_MILLISECONDS, apply, initial, listed, micros, online, page, pending, unknown } from "../../web/state.js";

const at = (second) => `2026-01-31T09:30:${String(second).padStart(2, "0")}.000000Z`;
const message = (type, second, payload, more = {}) => ({ type, schemaVersion: "1.0.0", eventId: "e", ts: at(second), payload, ...more });
const after = (...messages) => messages.reduce((state, message) => apply(state, message, 0), initial(0));
const count = (second, more = {}) =>
  message("status.count", second, { onlineCount: 7, delta: 1, calculatedAt: at(second), validFor: 30, degraded: false, ...more });

test("times are read to the microsecond", () => {
  assert.equal(micros("1970-01-01T00:00:01.000002Z"), 1_000_002);
  assert.equal(micros("1970-01-01T00:00:01.5Z"), 1_500_000);
  assert.throws(() => micros("yesterday"));
  assert.throws(() => micros("2026-13-31T09:30:00Z"));
});

test("silence for longer than the count is valid makes presence unknown", () => {
  let state = initial(1_000);
  assert.equal(unknown(state, 1_000 + TRUST_MILLISECONDS - 1), null);
  assert.equal(unknown(state, 1_000 + TRUST_MILLISECONDS), "silence");
  state = apply(state, count(1), 60_000);
  assert.equal(unknown(state, 89_999), null);
  assert.equal(unknown(state, 90_000), "silence");
});

test("the first count's validity replaces the initial trust", () => {
  const state = apply(initial(0), count(1, { validFor: 3 }), 1_000);
  assert.equal(unknown(state, 4_000), "silence");
});

test("a degraded service makes presence unknown until a count says otherwise", () => {
  let state = apply(initial(0), count(1, { degraded: true, reason: "partition 3 has no owner" }), 0);
  assert.equal(unknown(state, 1), "degraded");
  assert.equal(state.degraded, "partition 3 has no owner");
  state = apply(state, count(2), 1);
  assert.equal(unknown(state, 2), null);
});

test("an older count changes nothing", () => {
  const state = after(count(5), count(4, { onlineCount: 900, degraded: true }));
  assert.equal(state.everyone.online, 7);
  assert.equal(unknown(state, 0), null);
});

test("the trend keeps the last sixty counts, each once", () => {
  let state = initial(0);
  for (let second = 0; second < 60; second += 1) state = apply(state, count(second, { onlineCount: second }), 0);
  state = apply(state, count(59, { onlineCount: 59 }), 0);
  assert.equal(state.trend.length, 60);
  assert.equal(state.trend.at(-1), 59);
});

test("a newer minor version is understood, unknown members do no harm", () => {
  const state = after(message("friend.online", 1, { userId: "ann", name: "Ann", mood: "calm" }, { schemaVersion: "1.9.0" }));
  assert.deepEqual(online(state), ["ann"]);
  assert.equal(state.ignored, 0);
});

test("another major version is ignored and reported", () => {
  const state = after(message("friend.online", 1, { userId: "ann" }, { schemaVersion: "2.0.0" }));
  assert.deepEqual(online(state), []);
  assert.deepEqual([state.ignored, state.newer], [1, true]);
});

test("malformed messages are ignored and counted, and never throw", () => {
  const nonsense = [
    null,
    7,
    "text",
    {},
    [],
    message("friend.online", 1, null),
    message("friend.online", 1, { userId: 7 }),
    message("friends.sync", 1, { onlineFriends: "ann" }),
    message("status.count", 1, { onlineCount: "many" }),
    message("friend.waved", 1, {}),
    { type: "friend.online", ts: "soon", payload: { userId: "ann" } },
  ];
  const state = after(...nonsense);
  assert.equal(state.friends.size, 0);
  assert.equal(state.ignored, nonsense.length);
  assert.equal(state.total, null);
});

test("one unusable event of a batch does not prevent the others", () => {
  const events = [message("friend.online", 1, {}), message("friend.online", 1, { userId: "ben", name: "Ben" })];
  const state = after(message("friend.batch", 1, { events }));
  assert.deepEqual(online(state), ["ben"]);
  assert.equal(state.ignored, 1);
});

test("a name of ten thousand characters is cut", () => {
  const state = after(message("friend.online", 1, { userId: "ann", name: "x".repeat(10_000) }));
  assert.equal(state.friends.get("ann").name.length, 256);
});

test("a page of friends loses against newer messages and wins against older ones", () => {
  const rows = [{ id: "ann", name: "Ann", online: false, lastSeen: at(4), since: at(0) }];
  const newer = page(after(message("friend.online", 6, { userId: "ann", name: "Ann" })), rows, at(5));
  assert.deepEqual(online(newer), ["ann"]);
  const older = page(after(message("friend.online", 4, { userId: "ann", name: "Ann" })), rows, at(5));
  assert.deepEqual(online(older), []);
  assert.equal(older.friends.get("ann").lastSeen, at(4));
});

test("a page older than a sync still provides names and friendships", () => {
  const synced = after(message("friends.sync", 6, { onlineFriends: ["ann"], totalFriends: 2, totalOnline: 1 }));
  const rows = ["ann", "ben"].map((id) => ({ id, name: id.toUpperCase(), online: id === "ben", lastSeen: at(3), since: at(0) }));
  const state = page(synced, rows, at(5));
  assert.deepEqual(online(state), ["ann"]);
  assert.deepEqual([...state.friends.values()].map((one) => [one.name, one.since]), [["ANN", at(0)], ["BEN", at(0)]]);
});

test("a friend in no page of a whole list is removed, unless added since", () => {
  const state = listed(
    after(message("friend.online", 1, { userId: "gone", name: "Gone" }), message("friend.added", 9, { userId: "new", name: "New", online: true })),
    new Set(["ann"]),
    at(5),
  );
  assert.deepEqual([...state.friends.keys()], ["new"]);
});

test("requests that were read lose against messages received since the request", () => {
  const before = after();
  const changed = apply(before, message("friend.removed", 3, { userId: "ann" }), 0);
  const rows = [
    { id: "ann", name: "Ann", at: at(1) },
    { id: "ben", name: "Ben", at: at(2) },
  ];
  assert.deepEqual([...pending(changed, "in", rows, before.received).requests.keys()], ["ben"]);
  assert.deepEqual([...pending(changed, "in", rows, changed.received).requests.keys()], ["ann", "ben"]);
});

test("reading one direction leaves the other alone", () => {
  const state = after(message("friend.requested", 1, { userId: "ann", name: "Ann", requestedBy: "me" }));
  assert.deepEqual([...pending(state, "in", [], state.received).requests.keys()], ["ann"]);
  assert.deepEqual([...pending(state, "out", [], state.received).requests.keys()], []);
});
