// The Functions against a local origin (ORIGIN), with presence events and times set by the test.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Keyset } from "../runtime/keyset.mjs";

const ORIGIN = process.env.ORIGIN;
const file = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const AT = 1_769_851_800_000;
let round = 0;

const http = async (method, path, body) => (await fetch(`http://${ORIGIN}${path}`, { method, body: body && JSON.stringify(body) })).json();
const profile = async (id) => (await http("GET", `/v2/objects/demo/uuids/${id}?include=custom`)).data.custom;
const inbox = async (id) => {
  const said = await http("GET", `/v3/history/sub-key/demo/channel/inbox.${id}?max=100`);
  return (said.channels[`inbox.${id}`] || []).map(({ message }) => message);
};

// Each test has its own users: `me` and n friends who are online.
async function people(n) {
  round += 1;
  const me = `me${round}`;
  const friends = Array.from({ length: n }, (_, i) => `f${round}x${i}`);
  for (const id of friends) await http("PATCH", `/v2/objects/demo/uuids/${id}`, { name: id, custom: { online: true } });
  await http("PATCH", `/v2/objects/demo/uuids/${me}`, { name: "Me", custom: {} });
  await http("PATCH", `/v2/objects/demo/channels/friends.${me}/uuids`, { set: friends.map((id) => ({ uuid: { id } })) });
  return { me, friends };
}

async function pure(clock, limits = {}) {
  const keyset = new Keyset({ origin: ORIGIN, now: () => clock.now, limits });
  await keyset.deploy("presence", "presence.*", file("pure-pubnub/presence.js"));
  await keyset.deploy("publish", "notify.*", file("pure-pubnub/fan-out.js"));
  await keyset.deploy("interval", "", file("pure-pubnub/commit-leaves.js"));
  return keyset;
}

const event = (action, uuid, at) => ({ action, uuid, precise_timestamp: at, timestamp: Math.floor(at / 1000), occupancy: 1 });
const quick = (source, options = {}) => async () => {
  const path = join(await mkdtemp(join(tmpdir(), "fn-")), "f.js");
  await writeFile(path, source);
  const keyset = new Keyset({ origin: ORIGIN, ...options });
  await keyset.deploy("interval", "", path);
  return keyset;
};

test("every online friend is notified of a join and the user's inbox gets a sync", async () => {
  const { me, friends } = await people(23);
  const keyset = await pure({ now: AT });
  await keyset.presence("presence.shard-1", event("join", me, AT));
  assert.deepEqual(keyset.failures, []);
  for (const friend of friends) assert.deepEqual((await inbox(friend)).map(({ type }) => type), ["friend.online"]);
  const [sync] = await inbox(me);
  assert.deepEqual([sync.type, sync.payload.totalOnline], ["friends.sync", 23]);
  assert.equal((await profile(me)).online, true);
});

test("friends are notified of a leave after the debounce time and not before", async () => {
  const { me, friends } = await people(2);
  const clock = { now: AT };
  const keyset = await pure(clock);
  await keyset.presence("presence.shard-1", event("join", me, AT));
  await keyset.presence("presence.shard-1", event("leave", me, AT + 1000));
  clock.now = AT + 2000;
  await keyset.interval();
  assert.equal((await profile(me)).online, true);
  clock.now = AT + 7000;
  await keyset.interval();
  assert.deepEqual(keyset.failures, []);
  assert.equal((await profile(me)).online, false);
  assert.deepEqual((await inbox(friends[0])).map(({ type }) => type), ["friend.online", "friend.offline"]);
});

test("a return within the debounce time is a flap and notifies no friend", async () => {
  const { me, friends } = await people(2);
  const clock = { now: AT };
  const keyset = await pure(clock);
  for (const [action, later] of [["join", 0], ["leave", 1000], ["join", 3000]]) {
    await keyset.presence("presence.shard-1", event(action, me, AT + later));
  }
  clock.now = AT + 60_000;
  await keyset.interval();
  assert.deepEqual(keyset.failures, []);
  assert.equal((await profile(me)).online, true);
  assert.deepEqual((await inbox(friends[0])).map(({ type }) => type), ["friend.online"]);
});

test("an older event that arrives late changes nothing", async () => {
  const { me } = await people(1);
  const keyset = await pure({ now: AT + 60_000 });
  await keyset.presence("presence.shard-1", event("join", me, AT + 5000));
  await keyset.presence("presence.shard-1", event("leave", me, AT));
  await keyset.interval();
  assert.equal((await profile(me)).online, true);
});

test("the status count has the sum and the change", async () => {
  const keyset = new Keyset({ origin: ORIGIN });
  await keyset.deploy("interval", "", file("pure-pubnub/status-count.js"));
  await keyset.interval();
  await keyset.interval();
  assert.deepEqual(keyset.failures, []);
  const said = await http("GET", "/v3/history/sub-key/demo/channel/status.global?max=100");
  const last = said.channels["status.global"].at(-1).message;
  assert.deepEqual([last.type, last.payload.delta, last.payload.degraded], ["status.count", 0, false]);
});

test("after-presence forwards the event with its secret, retries a 503 once, and writes the flag", async () => {
  const { me } = await people(0);
  const heard = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    heard.push({ secret: request.headers["x-webhook-secret"], body: JSON.parse(body) });
    response.writeHead(heard.length === 1 ? 503 : 204).end();
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const secrets = { WEBHOOK_URL: `http://127.0.0.1:${server.address().port}/`, WEBHOOK_SECRET: "word" };
  const keyset = new Keyset({ origin: ORIGIN, secrets });
  await keyset.deploy("presence", "presence.*", file("after-presence.js"));
  await keyset.presence("presence.shard-7", event("join", me, AT));
  server.close();
  assert.deepEqual(keyset.failures, []);
  assert.equal(heard.length, 2);
  assert.equal(heard[1].secret, "word");
  const [item] = heard[1].body.data;
  assert.deepEqual([item.channel, item.userId, item.data.action], ["presence.shard-7", me, "join"]);
  assert.equal((await profile(me)).online, true);
  console.log(`WEBHOOK ${JSON.stringify(heard[1].body)}`);
});

for (const [name, source, most] of [
  ["publishes", `export default async () => { const p = require("pubnub"); for (let i = 0; i < 11; i++) await p.publish({ channel: "x", message: { i } }); };`, 10],
  ["KV calls", `export default async () => { const db = require("kvstore"); for (let i = 0; i < 11; i++) await db.get("k"); };`, 10],
  ["outbound calls", `export default async () => { const x = require("xhr"); for (let i = 0; i < 6; i++) await x.fetch("http://" + "${ORIGIN}" + "/time/0"); };`, 5],
  ["characters of a KV value", `export default async () => { await require("kvstore").set("k", "x".repeat(32001)); };`, 32_000],
]) {
  test(`too many ${name} fail loudly`, async () => {
    const keyset = await quick(source)();
    await keyset.interval();
    assert.equal(keyset.failures.length, 1);
    assert.equal(keyset.failures[0].name, "LimitError");
    assert.match(keyset.failures[0].message, new RegExp(`more than ${most} `));
  });
}

test("an execution that does not end is stopped, and npm packages do not exist", async () => {
  const endless = await quick("export default () => new Promise(() => {});", { limits: { milliseconds: 20 } })();
  await endless.interval();
  assert.equal(endless.failures[0].name, "LimitError");
  const foreign = await quick('export default async () => require("fs");')();
  await foreign.interval();
  assert.match(foreign.failures[0].message, /no module fs/);
});

test("a keyset makes a hundred outbound requests in a second and no more", async () => {
  const source = 'export default async () => { for (let i = 0; i < 10; i++) await require("vault").get("k"); };';
  const keyset = await quick(source, { now: () => AT })();
  for (let i = 0; i < 11; i += 1) await keyset.interval();
  assert.equal(keyset.failures.length, 1);
  assert.match(keyset.failures[0].message, /outbound requests in one second/);
});

test("Functions that start each other stop after three hops", async () => {
  const path = join(await mkdtemp(join(tmpdir(), "fn-")), "f.js");
  await writeFile(path, 'export default async () => { await require("pubnub").fire({ channel: "loop", message: {} }); };');
  const keyset = new Keyset({ origin: ORIGIN });
  await keyset.deploy("interval", "", path);
  await keyset.deploy("publish", "loop", path);
  await keyset.interval();
  assert.equal(keyset.executions, 4);
  assert.match(keyset.failures[0].message, /more than 3 hops/);
});
