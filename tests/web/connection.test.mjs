// What the link does with what PubNub's SDK says. The SDK's place is taken by an object that says it at once: how the
// real one behaves is seen in the browser's tests.
import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { FULL_REPLY, Link } from "../../web/connection.js";

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

class Sdk {
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

function linked() {
  const heard = [];
  const names = ["message", "connected", "flooded", "trouble", "refused"];
  const hears = Object.fromEntries(names.map((name) => [name, (what) => void heard.push(what === undefined ? name : [name, what])]));
  const link = new Link(Sdk, SESSION, hears);
  return { link, heard, sdk: link.sdk, say: link.sdk.listener };
}

const message = (channel, type = "friend.online") => ({ channel, message: { type } });
const turn = () => new Promise((next) => setTimeout(next, 5));

afterEach(() => mock.timers.reset());

test("it subscribes to three channels with the session's token and heartbeat, and leaves retrying to itself", () => {
  const { link, sdk } = linked();
  link.open();
  assert.deepEqual(sdk.did, ["first", ["inbox.ann", "presence.shard-1", "status.global"]]);
  assert.equal(sdk.options.presenceTimeout, 60);
  assert.equal(sdk.options.retryConfiguration, "none");
});

test("a session on another presence channel is gone to before the old one is left", () => {
  const { link, sdk } = linked();
  link.open();
  sdk.did.length = 0;
  link.renew({ ...SESSION, token: "second" });
  assert.deepEqual(sdk.did, ["second"]);
  link.renew({ ...SESSION, token: "third", channels: { ...SESSION.channels, presence: "presence.shard-101" } });
  assert.deepEqual(sdk.did.slice(1), ["third", ["presence.shard-101"], ["without", "presence.shard-1"]]);
});

test("a full reply is told, once, and one less is not", async () => {
  for (const [count, told] of [
    [FULL_REPLY - 1, 0],
    [FULL_REPLY, 1],
  ]) {
    const { heard, say } = linked();
    for (let number = 0; number < count; number += 1) say.message(message("inbox.ann"));
    await turn();
    assert.equal(heard.filter((one) => one === "flooded").length, told, `${count} messages`);
  }
});

test("messages of two replies are not one full reply", async () => {
  const { heard, say } = linked();
  for (let reply = 0; reply < 2; reply += 1) {
    for (let number = 0; number < 60; number += 1) say.message(message("inbox.ann"));
    await turn();
  }
  assert.ok(!heard.includes("flooded"));
});

test("only the inbox tells of friends, and only the global channel of counts", () => {
  const { heard, say } = linked();
  say.message(message("status.global"));
  say.message(message("presence.shard-1"));
  say.message(message("inbox.ann", "status.count"));
  assert.deepEqual(heard, []);
  say.message(message("inbox.ann"));
  say.message(message("status.global", "status.count"));
  assert.equal(heard.length, 2);
});

test("a heartbeat that fails begins them again", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { sdk, say } = linked();
  say.status({ operation: "PNHeartbeatOperation", error: true, category: "PNNetworkIssuesCategory" });
  mock.timers.tick(20_000);
  assert.equal(sdk.did.at(-1), "reconnect");
});

test("a lost connection is told at once and tried again, with longer pauses each time", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { heard, sdk, say } = linked();
  const tries = () => sdk.did.filter((one) => one === "reconnect").length;
  say.status({ category: "PNDisconnectedUnexpectedlyCategory", error: "PNNetworkIssuesCategory" });
  assert.deepEqual(heard, [["trouble", "unreachable"]]);
  mock.timers.tick(500);
  assert.equal(tries(), 1);
  for (let more = 0; more < 6; more += 1) say.status({ category: "PNConnectionErrorCategory", error: "PNTimeoutCategory" });
  mock.timers.tick(5_000);
  assert.equal(tries(), 1);
  mock.timers.tick(15_000);
  assert.equal(tries(), 2);
});

test("refused access asks for another token before it is tried again", async () => {
  const { heard, sdk, say } = linked();
  say.status({ category: "PNConnectionErrorCategory", error: "PNAccessDeniedCategory" });
  await new Promise((next) => setTimeout(next, 600));
  assert.deepEqual(heard, [["trouble", "refused"], "refused"]);
  assert.equal(sdk.did.at(-1), "reconnect");
});

test("a page that goes away sends a leave that outlives it, once", () => {
  const sent = mock.method(globalThis, "fetch", async () => new Response());
  const { link, sdk } = linked();
  link.close(true);
  link.close(true);
  assert.equal(sent.mock.callCount(), 1);
  const [address, options] = sent.mock.calls[0].arguments;
  const url = new URL(address);
  assert.equal(`${url.origin}${url.pathname}`, "https://ps.example.com/v2/presence/sub-key/sub/channel/inbox.ann,presence.shard-1,status.global/leave");
  assert.deepEqual([url.searchParams.get("uuid"), url.searchParams.get("auth"), options.keepalive], ["ann", "first", true]);
  assert.ok(!sdk.did.includes("destroy"));
  sent.mock.restore();
});

test("what comes after the end is not heard", () => {
  const { link, heard, say } = linked();
  link.close();
  say.status({ category: "PNDisconnectedUnexpectedlyCategory", error: "x" });
  assert.deepEqual(heard, []);
});
