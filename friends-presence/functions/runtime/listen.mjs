// Runs the pure variant against an origin: node listen.mjs ORIGIN CHANNEL... subscribes to those channels' presence, as
// the platform would, and starts the Functions; interval Functions run every second. Prints "ready" once subscribed.
// A development tool, like the local origin. Stops at the end of its standard input.

import { fileURLToPath } from "node:url";

import { Keyset } from "./keyset.mjs";

const [origin, ...channels] = process.argv.slice(2);
const file = (name) => fileURLToPath(new URL(`../pure-pubnub/${name}`, import.meta.url));
const keyset = new Keyset({ origin });
await keyset.deploy("presence", "presence.*", file("presence.js"));
await keyset.deploy("publish", "notify.*", file("fan-out.js"));
await keyset.deploy("interval", "", file("commit-leaves.js"));

process.stdin.resume().on("end", () => process.exit(0));
setInterval(() => keyset.interval().then(tell), 1000);

const names = channels.map((channel) => `${channel}-pnpres`).join(",");
let cursor = "0";
for (;;) {
  const answer = await fetch(`http://${origin}/v2/subscribe/demo/${names}/0?tt=${cursor}&uuid=functions-listener`);
  const said = await answer.json();
  if (cursor === "0") console.log("ready");
  cursor = said.t.t;
  // One after the other: the platform promises no order, but a flap in order is the case that must work.
  for (const { c, d } of said.m) await keyset.presence(c.replace(/-pnpres$/, ""), d);
  tell();
}

function tell() {
  for (const failure of keyset.failures.splice(0)) console.error(failure.message);
}
