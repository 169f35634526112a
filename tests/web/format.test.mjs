// What the page says.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as words from "../../web/page/format.js";

const NOW = Date.parse("2026-01-31T12:00:00Z");
const ago = (minutes) => words.lastSeen(new Date(NOW - minutes * 60_000).toISOString(), NOW);

test("last seen is told in the unit that fits", () => {
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
  assert.equal(words.lastSeen(null, NOW), "Offline");
  assert.equal(words.lastSeen("nonsense", NOW), "Offline");
});

test("a time that is still to come is just now", () => assert.equal(ago(-30), "Last seen just now"));

test("unknown presence is never told as offline", () => {
  assert.equal(words.presence({ online: null }), "unknown");
  assert.equal(words.status({ online: null }, NOW), "Not known right now");
});

test("every state of the connection has words", () => {
  const states = ["connecting", "connected", "reconnecting", "signedOut", "closed"];
  for (const state of states) assert.ok(words.link({ state, reason: null }).length > 5, state);
  assert.match(words.link({ state: "reconnecting", reason: "unreachable" }), /lost/);
});

test("a suggestion says how many, who, and who is there", () => {
  const mutuals = ["Ann", "Ben", "Cleo"].map((name, at) => ({ id: name, name, online: at === 0 }));
  assert.equal(words.mutual({ mutualCount: 8, mutuals }), "8 friends in common: Ann, Ben, Cleo and 5 others · 1 online");
  assert.equal(words.mutual({ mutualCount: 1, mutuals: mutuals.slice(1, 2) }), "1 friend in common: Ben");
});

test("initials are letters, whatever the name holds", () => {
  assert.deepEqual(["Ann Lee", "björn", "  ", "王小明", "\u202Eevil name", "🙂"].map(words.initials), ["AL", "B", "?", "王", "EN", "?"]);
});

test("a colour belongs to an id", () => {
  assert.equal(words.hue("ann"), words.hue("ann"));
  assert.ok(new Set(["ann", "ben", "cleo", "dan"].map(words.hue)).size > 2);
});

test("searching knows neither case nor accents", () => assert.equal(words.folded("BJÖRN Kató"), "bjorn kato"));

test("several at once are one sentence", () => {
  assert.equal(words.arrivals(["Ann"], "online"), "Ann came online");
  assert.equal(words.arrivals(["Ann", "Ben"], "offline"), "Ann and Ben went offline");
  assert.equal(words.arrivals(["A", "B", "C"], "online"), "3 friends came online");
  assert.equal(words.arrivals(["A", "B", "C"], "requested"), "3 people asked to be your friend");
});

test("the trend is told in words", () => {
  assert.deepEqual([[5], [5, 5], [5, 9], [1200, 100]].map(words.trend), ["steady", "steady", "up 4", "down 1,100"]);
});
