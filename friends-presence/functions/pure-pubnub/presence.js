// After Presence on `presence.*`, pure PubNub: friends are notified of a join at once, of a leave after the debounce time
// (commit-leaves.js), of a flap never. Uses App Context's friend list `friends.{uuid}` and the KV store, and no server.
//
// A join uses 3 App Context calls, 2 KV calls, 1 publish and up to 9 fires: more than 90 friends online are logged and not notified.

const DEBOUNCE_MS = 5000;
const BATCH = 10; // publishes of one execution of fan-out.js (PubNub docs: API limits); 20 where support raised the limit
const MAX_FIRES = 9; // and one publish for the sync

export default async (request) => {
  const event = request.message;
  const at = event.precise_timestamp || event.timestamp * 1000;
  if (event.action === "join") await arrived(event.uuid, at);
  if (event.action === "leave" || event.action === "timeout") await left(event.uuid, at);
  return request.ok();
};

async function arrived(uuid, at) {
  const pubnub = require("pubnub");
  const db = require("kvstore");
  const { name, custom } = await user(pubnub, uuid);
  const lastSeen = Date.parse(custom.lastSeen || 0);
  if (lastSeen > at) return; // an older event that arrived late
  const waiting = await db.get(`gone:${uuid}`);
  if (waiting) await db.removeItem(`gone:${uuid}`);
  const flap = custom.online && waiting && at - lastSeen < DEBOUNCE_MS;
  await pubnub.objects.setUUIDMetadata({ uuid, data: { custom: { ...custom, schemaVersion: "1.0.0", online: true, lastSeen: iso(at) } } });
  const friends = await friendsOf(pubnub, uuid);
  const online = friends.list.filter((friend) => friend.online).map((friend) => friend.id);
  const jobs = [sync(pubnub, uuid, online, friends.total, at)];
  if (!flap) jobs.push(...batches(pubnub, online, message("friend.online", uuid, at, { userId: uuid, name, at })));
  await Promise.all(jobs);
}

async function left(uuid, at) {
  const pubnub = require("pubnub");
  const { custom } = await user(pubnub, uuid);
  if (Date.parse(custom.lastSeen || 0) > at) return;
  await pubnub.objects.setUUIDMetadata({ uuid, data: { custom: { ...custom, schemaVersion: "1.0.0", lastSeen: iso(at) } } });
  await require("kvstore").set(`gone:${uuid}`, { at }, 60);
}

async function user(pubnub, uuid) {
  try {
    const { data } = await pubnub.objects.getUUIDMetadata({ uuid, include: { customFields: true } });
    return { name: data.name || uuid, custom: data.custom || {} };
  } catch (error) {
    if (error.status === 404) return { name: uuid, custom: {} };
    throw error;
  }
}

async function friendsOf(pubnub, uuid) {
  const include = { UUIDFields: true, customUUIDFields: true, totalCount: true };
  const { data, totalCount } = await pubnub.objects.getChannelMembers({ channel: `friends.${uuid}`, limit: 100, include });
  const list = data.map(({ uuid: friend }) => ({ id: friend.id, online: Boolean(friend.custom && friend.custom.online) }));
  return { list, total: totalCount };
}

function batches(pubnub, online, told) {
  const groups = [];
  for (let start = 0; start < online.length; start += BATCH) groups.push(online.slice(start, start + BATCH));
  if (groups.length > MAX_FIRES) console.error(`${online.length - MAX_FIRES * BATCH} friends of ${told.payload.userId} are not notified`);
  return groups.slice(0, MAX_FIRES).map((to) => pubnub.fire({ channel: "notify.batch", message: { to, message: told } }));
}

function sync(pubnub, uuid, onlineFriends, totalFriends, at) {
  const payload = { onlineFriends, totalFriends, totalOnline: onlineFriends.length, part: 1, parts: 1 };
  const told = { ...message("friends.sync", uuid, at, payload), eventId: `evt_sync_${uuid}_${at}` };
  return pubnub.publish({ channel: `inbox.${uuid}`, message: told });
}

function message(type, uuid, at, payload) {
  return { type, schemaVersion: "1.0.0", eventId: `evt_presence_${uuid}_${at}`, ts: iso(at), payload };
}

// Six digits, as the contract requires; this variant has PubNub's milliseconds only, which are its `ts` too.
function iso(ms) {
  return new Date(ms).toISOString().replace("Z", "000Z");
}
