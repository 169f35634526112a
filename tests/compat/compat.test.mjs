// Messages of a released version, applied by the browser's rules (HISTORY names the file).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { apply, initial, online } from "../../web/state.js";

const { messages, view, everyone } = JSON.parse(readFileSync(process.env.HISTORY, "utf8"));
const after = (sent) => sent.reduce((state, message) => apply(state, message, 0), initial(0));

function asVersion(version, members = {}) {
  const inside = (payload) => ({ ...payload, ...members, ...(payload.events && { events: payload.events.map(one) }) });
  const one = (message) => ({ ...message, ...members, schemaVersion: version, payload: inside(message.payload) });
  return messages.map(one);
}

function check(state) {
  const requests = [...state.requests.values()].map(({ id, incoming }) => [id, incoming ? id : "me"]).sort();
  const friends = [...state.friends.keys()].sort();
  assert.deepEqual({ online: online(state).sort(), friends, requests: Object.fromEntries(requests), total: state.total }, view);
  assert.deepEqual({ online: state.everyone.online, degraded: state.degraded }, everyone);
}

test("released messages are understood", () => {
  const state = after(messages);
  check(state);
  assert.deepEqual([state.ignored, state.newer], [0, false]);
});

test("a newer minor version with unknown members is understood", () => check(after(asVersion("1.97.0", { mood: { new: true } }))));

test("messages of another major version are ignored and counted", () => {
  const state = after(asVersion("97.0.0"));
  assert.deepEqual([state.friends.size, state.requests.size, state.newer], [0, 0, true]);
  assert.equal(state.ignored, messages.length);
});
