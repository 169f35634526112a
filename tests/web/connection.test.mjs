// How the connection handles events of PubNub's SDK, with a fake SDK that emits them at once. The real one runs in the
// browser tests (tests/e2e/web).
import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { Connection, FULL_REPLY_MESSAGES } from "../../web/connection.js";

const SESSION = {
  userId: "ann",
  subscribeKey: "sub",
  publishKey: "pub",
  origin: "ps.example.com",
  tls: true,
  token: "first",
  heartbeat: 60,
  channels: { inbox: "inbox.ann", presence: "presence.shard-1", global: "status.global" },
};

class FakeSdk {
  static NoneRetryPolicy() {
    return "none";
  }
  constructor(options) {
    this.options = options;
    this.did = [];
  }
  addListener(listener) {
    this.listener = listener;
  }
  setToken(token) {
    this.did.push(token);
  }
  subscribe({ channels }) {
    this.did.push(channels);
  }
  unsubscribe({ channels }) {
    this.did.push(["without", ...channels]);
  }
  reconnect() {
    this.did.push("reconnect");
  }
  destroy() {
    this.did.push("destroy");
  }
}

function connectionWithFakes() {
  const events = [];
  const names = ["message", "connected", "flooded", "trouble", "refused"];
  const handlers = Object.fromEntries(names.map((name) => [name, (value) => void events.push(value === undefined ? name : [name, value])]));
  const connection = new Connection({ PubNub: FakeSdk, session: SESSION, handlers });
  return { connection, events, sdk: connection.sdk, emit: connection.sdk.listener };
}

const message = (channel, type = "friend.online") => ({ channel, message: { type } });
const turn = () => new Promise((next) => setTimeout(next, 5));

afterEach(() => mock.timers.reset());

test("it subscribes to three channels with the session's token and heartbeat, and switches the SDK's retries off", () => {
  const { connection, sdk } = connectionWithFakes();
  connection.open();
  assert.deepEqual(sdk.did, ["first", ["inbox.ann", "presence.shard-1", "status.global"]]);
  assert.equal(sdk.options.presenceTimeout, 60);
  assert.equal(sdk.options.retryConfiguration, "none");
});

test("another presence channel is subscribed to before the old one is left", () => {
  const { connection, sdk } = connectionWithFakes();
  connection.open();
  sdk.did.length = 0;
  connection.renew({ ...SESSION, token: "second" });
  assert.deepEqual(sdk.did, ["second"]);
  connection.renew({ ...SESSION, token: "third", channels: { ...SESSION.channels, presence: "presence.shard-101" } });
  assert.deepEqual(sdk.did.slice(1), ["third", ["presence.shard-101"], ["without", "presence.shard-1"]]);
});

test("a full reply is reported once, and one message less is not", async () => {
  for (const [count, expected] of [
    [FULL_REPLY_MESSAGES - 1, 0],
    [FULL_REPLY_MESSAGES, 1],
  ]) {
    const { events, emit } = connectionWithFakes();
    for (let number = 0; number < count; number += 1) emit.message(message("inbox.ann"));
    await turn();
    assert.equal(events.filter((one) => one === "flooded").length, expected, `${count} messages`);
  }
});

test("messages of two replies are not one full reply", async () => {
  const { events, emit } = connectionWithFakes();
  for (let reply = 0; reply < 2; reply += 1) {
    for (let number = 0; number < 60; number += 1) emit.message(message("inbox.ann"));
    await turn();
  }
  assert.ok(!events.includes("flooded"));
});

test("friend messages are taken from the inbox only, counts from the global channel only", () => {
  const { events, emit } = connectionWithFakes();
  emit.message(message("status.global"));
  emit.message(message("presence.shard-1"));
  emit.message(message("inbox.ann", "status.count"));
  assert.deepEqual(events, []);
  emit.message(message("inbox.ann"));
  emit.message(message("status.global", "status.count"));
  assert.equal(events.length, 2);
});

test("a failed heartbeat restarts heartbeats", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { sdk, emit } = connectionWithFakes();
  emit.status({ operation: "PNHeartbeatOperation", error: true, category: "PNNetworkIssuesCategory" });
  mock.timers.tick(20_000);
  assert.equal(sdk.did.at(-1), "reconnect");
});

test("a lost connection is reported at once and retried with backoff", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { events, sdk, emit } = connectionWithFakes();
  const tries = () => sdk.did.filter((one) => one === "reconnect").length;
  emit.status({ category: "PNDisconnectedUnexpectedlyCategory", error: "PNNetworkIssuesCategory" });
  assert.deepEqual(events, [["trouble", "unreachable"]]);
  mock.timers.tick(500);
  assert.equal(tries(), 1);
  for (let more = 0; more < 6; more += 1) emit.status({ category: "PNConnectionErrorCategory", error: "PNTimeoutCategory" });
  mock.timers.tick(5_000);
  assert.equal(tries(), 1);
  mock.timers.tick(15_000);
  assert.equal(tries(), 2);
});

test("after access was denied a new token is requested before the retry", async () => {
  const { events, sdk, emit } = connectionWithFakes();
  emit.status({ category: "PNConnectionErrorCategory", error: "PNAccessDeniedCategory" });
  await new Promise((next) => setTimeout(next, 600));
  assert.deepEqual(events, [["trouble", "refused"], "refused"]);
  assert.equal(sdk.did.at(-1), "reconnect");
});

test("a closing page sends one leave that outlives it", () => {
  const sent = mock.method(globalThis, "fetch", async () => new Response());
  const { connection, sdk } = connectionWithFakes();
  connection.close(true);
  connection.close(true);
  assert.equal(sent.mock.callCount(), 1);
  const [address, options] = sent.mock.calls[0].arguments;
  const url = new URL(address);
  assert.equal(`${url.origin}${url.pathname}`, "https://ps.example.com/v2/presence/sub-key/sub/channel/inbox.ann,presence.shard-1,status.global/leave");
  assert.deepEqual([url.searchParams.get("uuid"), url.searchParams.get("auth"), options.keepalive], ["ann", "first", true]);
  assert.ok(!sdk.did.includes("destroy"));
  sent.mock.restore();
});

test("events after close are ignored", () => {
  const { connection, events, emit } = connectionWithFakes();
  connection.close();
  emit.status({ category: "PNDisconnectedUnexpectedlyCategory", error: "x" });
  assert.deepEqual(events, []);
});
