// On Interval, pure PubNub: a user who left longer ago than the debounce time and did not return goes offline, and friends
// are notified. Uses 1 KV call and, for each such user, 1 KV call, 1 App Context read, 1 write and 1 fire: 5 users an
// execution (it may make 10 App Context calls). Others wait for the next run; run it as often as the platform allows.

const DEBOUNCE_MS = 5000;
const MAX_LEAVES_PER_RUN = 5;

export default async (event) => {
  const pubnub = require("pubnub");
  const db = require("kvstore");
  const keys = (await db.getKeys()).filter((key) => key.startsWith("gone:"));
  for (const key of keys.slice(0, MAX_LEAVES_PER_RUN)) await commitLeave(pubnub, db, key.slice("gone:".length));
  return event.ok();
};

async function commitLeave(pubnub, db, uuid) {
  const { data } = await pubnub.objects.getUUIDMetadata({ uuid, include: { customFields: true } });
  const lastSeen = Date.parse(data.custom.lastSeen);
  if (Date.now() - lastSeen < DEBOUNCE_MS) return;
  await pubnub.objects.setUUIDMetadata({ uuid, data: { custom: { ...data.custom, online: false } } });
  await pubnub.fire({ channel: "notify.left", message: { userId: uuid, at: lastSeen } });
  // Last: a crash before this line repeats the notification, a crash after it loses none.
  await db.removeItem(`gone:${uuid}`);
}
