// After Presence on `presence.*`: writes the observed flag to App Context and forwards the event to the bridge.
// PubNub Functions 2.0; the body is that of an Events & Actions webhook. What friends see is decided by the bridge.
//
// vault: WEBHOOK_URL, WEBHOOK_SECRET. Of an execution it uses 2 vault reads, 1 xhr (2 with the retry), 1 App Context call.
// The keyset's limit of 100 outbound requests a second (xhr + vault) is reached near 33 events a second.

const SCHEMAS = {
  join: "presence.user.channel.joined",
  leave: "presence.user.channel.left",
  timeout: "presence.user.timedout.in.channel",
  interval: "presence.channel.occupancy.counted",
};

export default async (request) => {
  const event = request.message;
  if (!SCHEMAS[event.action]) return request.ok();
  // The bridge first: App Context may be late, the bridge may not.
  await forward(request.channels[0], event);
  if (event.uuid) await flag(event);
  return request.ok();
};

async function forward(channel, event) {
  const vault = require("vault");
  const xhr = require("xhr");
  const [url, secret] = await Promise.all([vault.get("WEBHOOK_URL"), vault.get("WEBHOOK_SECRET")]);
  const call = {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Webhook-Secret": secret },
    body: JSON.stringify({ schema: `pubnub.com/schemas/events/${SCHEMAS[event.action]}?v=1.0.0`, data: [item(channel, event)] }),
  };
  const answer = await xhr.fetch(url, call);
  // 503 means "not accepted": retry once; an event that is lost after that is found by the bridge's reconcile.
  if (answer.status >= 500) {
    const second = await xhr.fetch(url, call);
    if (second.status >= 300) console.error(`bridge answered ${second.status}`);
  } else if (answer.status >= 300) console.error(`bridge answered ${answer.status}`);
}

function item(channel, event) {
  const at = event.precise_timestamp || event.timestamp * 1000;
  return {
    id: `${channel}:${event.uuid || ""}:${event.action}:${at}`,
    channel,
    userId: event.uuid,
    occupancy: event.occupancy,
    timestamp: new Date(at).toISOString(),
    data: { action: event.action, precise_timestamp: String(at) },
    usersJoined: event.join,
    usersLeft: event.leave,
    usersTimedout: event.timeout,
    hereNowRefresh: event.here_now_refresh,
  };
}

async function flag(event) {
  const pubnub = require("pubnub");
  const at = event.precise_timestamp || event.timestamp * 1000;
  try {
    // `custom` is replaced as a whole, so its other members are read first.
    const known = await read(pubnub, event.uuid);
    const custom = { ...known, schemaVersion: "1.0.0", online: event.action === "join", lastSeen: new Date(at).toISOString() };
    await pubnub.objects.setUUIDMetadata({ uuid: event.uuid, data: { custom } });
  } catch (error) {
    console.error(`flag of ${event.uuid}: ${error.message}`);
  }
}

async function read(pubnub, uuid) {
  try {
    const { data } = await pubnub.objects.getUUIDMetadata({ uuid, include: { customFields: true } });
    return data.custom || {};
  } catch (error) {
    if (error.status === 404) return {};
    throw error;
  }
}
