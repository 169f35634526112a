// The rules of state.js on the traces that Python's rules are checked with too (TRACES names the file).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { apply, initial, online, page } from "../../web/state.js";

const traces = JSON.parse(readFileSync(process.env.TRACES, "utf8"));

function take(state, message) {
  return message.type === "page" ? page(state, message.payload, message.ts) : apply(state, message, 0);
}

function shown(state) {
  const requests = [...state.requests.values()].map((one) => [one.id, one.incoming ? one.id : "me"]);
  return {
    online: online(state).sort(),
    friends: [...state.friends.keys()].sort(),
    requests: Object.fromEntries(requests.sort()),
    total: state.total,
  };
}

test("there are traces", () => assert.ok(traces.length > 100));

test("every trace ends in the true view", () => {
  for (const { seed, messages, view } of traces) {
    const state = messages.reduce(take, initial(0));
    assert.deepEqual(shown(state), view, `seed ${seed}`);
  }
});

test("a returned state never changes", () => {
  for (const { seed, messages } of traces.slice(0, 50)) {
    let state = initial(0);
    for (const message of messages) {
      const before = structuredClone(state);
      const returned = state;
      state = take(state, message);
      assert.deepEqual(returned, before, `seed ${seed}`);
    }
  }
});
