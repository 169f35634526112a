// Times, counts and states as text.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as format from "../../web/page/format.js";

const NOW = Date.parse("2026-01-31T12:00:00Z");
const ago = (minutes) => format.lastSeen(new Date(NOW - minutes * 60_000).toISOString(), NOW);

test("last seen uses the unit that fits", () => {
  assert.deepEqual(
    [0.5, 1, 59, 60, 23 * 60, 25 * 60, 3 * 1440].map(ago),
    [
      "Last seen just now",
      "Last seen 1 minute ago",
      "Last seen 59 minutes ago",
      "Last seen 1 hour ago",
      "Last seen 23 hours ago",
      "Last seen yesterday",
      "Last seen 3 days ago",
    ],
  );
  assert.equal(ago(60 * 1440), "Last seen on 2 December 2025");
  assert.equal(format.lastSeen(null, NOW), "Offline");
  assert.equal(format.lastSeen("nonsense", NOW), "Offline");
});

test("a time in the future is just now", () => assert.equal(ago(-30), "Last seen just now"));

test("unknown presence is never shown as offline", () => {
  assert.equal(format.presence({ online: null }), "unknown");
  assert.equal(format.status({ online: null }, NOW), "Not known right now");
});

test("every state of the connection has a text", () => {
  const states = ["connecting", "connected", "reconnecting", "signedOut", "closed"];
  for (const state of states) assert.ok(format.connection({ state, reason: null }).length > 5, state);
  assert.match(format.connection({ state: "reconnecting", reason: "unreachable" }), /lost/);
});

test("a suggestion says how many friends in common, who, and how many are online", () => {
  const mutuals = ["Ann", "Ben", "Cleo"].map((name, at) => ({ id: name, name, online: at === 0 }));
  assert.equal(format.mutual({ mutualCount: 8, mutuals }), "8 friends in common: Ann, Ben, Cleo and 5 others · 1 online");
  assert.equal(format.mutual({ mutualCount: 1, mutuals: mutuals.slice(1, 2) }), "1 friend in common: Ben");
});

test("initials are letters, whatever the name holds", () => {
  assert.deepEqual(["Ann Lee", "björn", "  ", "王小明", "\u202Eevil name", "🙂"].map(format.initials), ["AL", "B", "?", "王", "EN", "?"]);
});

test("an id always has the same colour", () => {
  assert.equal(format.hue("ann"), format.hue("ann"));
  assert.ok(new Set(["ann", "ben", "cleo", "dan"].map(format.hue)).size > 2);
});

test("searching ignores case and accents", () => assert.equal(format.folded("BJÖRN Kató"), "bjorn kato"));

test("several friends are one sentence", () => {
  assert.equal(format.arrivals(["Ann"], "online"), "Ann came online");
  assert.equal(format.arrivals(["Ann", "Ben"], "offline"), "Ann and Ben went offline");
  assert.equal(format.arrivals(["A", "B", "C"], "online"), "3 friends came online");
  assert.equal(format.arrivals(["A", "B", "C"], "requested"), "3 people asked to be your friend");
});

test("the trend is text", () => {
  assert.deepEqual([[5], [5, 5], [5, 9], [1200, 100]].map(format.trend), ["steady", "steady", "up 4", "down 1,100"]);
});
