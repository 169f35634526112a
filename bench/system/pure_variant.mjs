// One cell of the grid: the pure-PubNub Functions on a virtual clock, with an origin that is a few Maps in this process.
// In: JSON {friends, online, changes, seconds, hold, interval, batch, late}. Out: JSON with the shares delivered in time.
// Only the runtime's limits decide: there is no network and no real clock, so every run has the same result.
import { readFile, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Keyset } from "../../friends-presence/functions/runtime/keyset.mjs";

const parameters = JSON.parse(process.argv[2]);
const START = 1_769_851_800_000;
const clock = { now: START };
const functions = new URL("../../friends-presence/functions/", import.meta.url);
console.error = () => {};

const profiles = new Map();
const publishedAt = new Map(); // `${user} ${online|offline}` -> times of its publishes
let forwarded = 0;
const response = (body, status = 200) => ({ ok: status < 400, status, headers: new Map(), json: async () => body, text: async () => "" });

globalThis.fetch = async (url, { method = "GET", body } = {}) => {
  const { pathname, searchParams } = new URL(url);
  const path = pathname.split("/").map(decodeURIComponent);
  if (path[1] === "publish") return published(path[5], path[7]);
  if (path[4] === "uuids" && path[2] === "objects") return profile(method, path[5], body);
  if (path[4] === "channels") return members(path[5], Number(searchParams.get("limit")));
  forwarded += 1; // the bridge's webhook
  return response({});
};

function published(channel, text) {
  if (channel.startsWith("inbox.")) {
    const { type, payload } = JSON.parse(text);
    if (type.startsWith("friend.")) {
      const key = `${payload.userId} ${type.slice("friend.".length)}`;
      publishedAt.set(key, [...(publishedAt.get(key) || []), clock.now]);
    }
  }
  return response([1, "Sent", "0"]);
}

function profile(method, id, body) {
  if (method === "PATCH") profiles.set(id, { ...profiles.get(id), ...JSON.parse(body) });
  const data = profiles.get(id);
  return data ? response({ data: structuredClone(data) }) : response({}, 404);
}

// The first page of a friend list. Online friends are spread evenly, so a page has the same share as the list.
function members(channel, limit) {
  const owner = channel.slice("friends.".length);
  const one = (_, i) => ({ uuid: { id: `${owner}.${i}`, custom: { online: Math.floor((i + 1) * parameters.online) > Math.floor(i * parameters.online) } } });
  return response({ data: Array.from({ length: Math.min(limit, parameters.friends) }, one), totalCount: parameters.friends });
}

async function deployed(keyset, trigger, pattern, name) {
  const source = await readFile(new URL(name, functions), "utf8");
  const path = join(await mkdtemp(join(tmpdir(), "pure-")), "function.js");
  await writeFile(path, source.replace("const BATCH = 10;", `const BATCH = ${parameters.batch};`));
  await keyset.deploy(trigger, pattern, path);
}

const keyset = new Keyset({ origin: "maps", now: () => clock.now, secrets: { WEBHOOK_URL: "http://bridge/", WEBHOOK_SECRET: "s" } });
const names = parameters.forward
  ? [["presence", "presence.*", "after-presence.js"]]
  : [
      ["presence", "presence.*", "pure-pubnub/presence.js"],
      ["publish", "notify.*", "pure-pubnub/fan-out.js"],
      ["interval", "", "pure-pubnub/commit-leaves.js"],
    ];
for (const name of names) await deployed(keyset, ...name);

const changes = [];
let tick = START;
const total = parameters.changes * parameters.seconds;
for (let n = 0; n < total; n += 1) {
  const at = START + Math.round((n * 1000) / parameters.changes);
  for (; tick <= at; tick += parameters.interval * 1000) await ticked(tick);
  const online = n % 2 === 0;
  const user = `u${n}`;
  profiles.set(user, { id: user, name: "A user", custom: { online: !online, lastSeen: new Date(START - 60_000).toISOString() } });
  clock.now = at;
  changes.push({ user, online, at });
  const event = { action: online ? "join" : "leave", uuid: user, precise_timestamp: at, timestamp: Math.floor(at / 1000), occupancy: 1 };
  await keyset.presence("presence.shard-1", event);
}
// Notifications that are later than allowed are not waited for.
const end = START + (parameters.seconds + parameters.hold + parameters.late) * 1000;
for (; tick <= end; tick += parameters.interval * 1000) await ticked(tick);

async function ticked(at) {
  clock.now = at;
  await keyset.interval();
}

const recipients = Math.floor(parameters.friends * parameters.online);
const share = (some) => {
  const inTime = some.map(({ user, online, at }) => {
    const due = online ? at : at + parameters.hold * 1000;
    return (publishedAt.get(`${user} ${online ? "online" : "offline"}`) || []).filter((time) => time <= due + parameters.late * 1000).length;
  });
  return inTime.reduce((sum, count) => sum + Math.min(count, recipients), 0) / Math.max(1, some.length * recipients);
};
const reasons = {};
for (const { message } of keyset.failures) reasons[message] = (reasons[message] || 0) + 1;
console.log(
  JSON.stringify({
    told: share(changes),
    joins: share(changes.filter(({ online }) => online)),
    leaves: share(changes.filter(({ online }) => !online)),
    forwarded: forwarded / changes.length,
    executions: keyset.executions,
    failed: keyset.failures.length,
    reasons,
  }),
);
