// After Publish or Fire on `notify.*`, pure PubNub: fan-out of one message to inboxes, ten an execution.
// `notify.batch` {to, message} publishes; `notify.left` {userId, at} loads the friends and fires batches. Hops: at most 3.

const BATCH = 10; // as in presence.js

export default async (request) => {
  const pubnub = require("pubnub");
  if (request.channels[0] === "notify.left") await spread(pubnub, request.message);
  else await deliver(pubnub, request.message);
  return request.ok();
};

async function deliver(pubnub, { to, message }) {
  await Promise.all(to.map((friend) => pubnub.publish({ channel: `inbox.${friend}`, message })));
}

async function spread(pubnub, { userId, at }) {
  const include = { UUIDFields: true, customUUIDFields: true };
  const { data } = await pubnub.objects.getChannelMembers({ channel: `friends.${userId}`, limit: 100, include });
  const online = data.filter(({ uuid }) => uuid.custom && uuid.custom.online).map(({ uuid }) => uuid.id);
  const ts = new Date(at).toISOString().replace("Z", "000Z");
  const payload = { userId, lastSeen: ts, at };
  const message = { type: "friend.offline", schemaVersion: "1.0.0", eventId: `evt_presence_${userId}_${at}`, ts, payload };
  const groups = [];
  for (let start = 0; start < online.length; start += BATCH) groups.push(online.slice(start, start + BATCH));
  await Promise.all(groups.slice(0, 10).map((to) => pubnub.fire({ channel: "notify.batch", message: { to, message } })));
}
