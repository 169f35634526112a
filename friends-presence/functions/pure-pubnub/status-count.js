// On Interval, pure PubNub: publishes on `status.global` how many users are online, from Here Now of the shards.
// One Here Now for all shards, one KV read, one write, one publish.

const SHARDS = 100;
const VALID_SECONDS = 30;

export default async (event) => {
  const pubnub = require("pubnub");
  const db = require("kvstore");
  const channels = Array.from({ length: SHARDS }, (_, shard) => `presence.shard-${shard}`);
  const { totalOccupancy } = await pubnub.hereNow({ channels, includeUUIDs: false });
  const before = await db.get("count");
  await db.set("count", totalOccupancy, 60);
  const now = Date.now();
  const ts = new Date(now).toISOString().replace("Z", "000Z");
  const payload = { onlineCount: totalOccupancy, delta: totalOccupancy - (before || 0), calculatedAt: ts, validFor: VALID_SECONDS, degraded: false };
  const eventId = `evt_global_count_${Math.floor(now / 1000)}`;
  await pubnub.publish({ channel: "status.global", message: { type: "status.count", schemaVersion: "1.0.0", eventId, ts, payload } });
  return event.ok();
};
