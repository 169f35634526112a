// The `pubnub` module over an origin's HTTP: publish, fire, signal, Here Now, Where Now and the App Context calls in use.
// Shares no code with PubNub's SDKs. A rejected call throws an Error with `status`. A publish may start Functions.

export function pubnub({ origin, subscribeKey, publishKey }, budget, started) {
  const call = async (method, path, query = {}, body = undefined) => {
    const params = new URLSearchParams({ uuid: "functions", pnsdk: "friends-presence-functions/1", ...query });
    const answer = await fetch(`http://${origin}${path}?${params}`, { method, body: body && JSON.stringify(body) });
    const said = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(`${method} ${path}: ${answer.status}`), { status: answer.status });
    return said;
  };
  const api = (...args) => {
    budget.spend("api");
    return call(...args);
  };
  const send = async ({ channel, message }, query) => {
    budget.spend("publish");
    const text = encodeURIComponent(JSON.stringify(message));
    const said = await call("GET", `/publish/${publishKey}/${subscribeKey}/0/${channel}/0/${text}`, query);
    await started(channel, message);
    return said;
  };
  const objects = {
    getUUIDMetadata: ({ uuid }) => api("GET", `/v2/objects/${subscribeKey}/uuids/${uuid}`, { include: "custom" }),
    setUUIDMetadata: ({ uuid, data }) => api("PATCH", `/v2/objects/${subscribeKey}/uuids/${uuid}`, { include: "custom" }, data),
    getChannelMembers: ({ channel, limit = 100 }) =>
      api("GET", `/v2/objects/${subscribeKey}/channels/${channel}/uuids`, {
        include: "custom,uuid,uuid.custom",
        limit,
        count: "true",
      }),
  };
  return {
    objects,
    publish: (given) => send(given, {}),
    fire: (given) => send(given, { store: "0", norep: "1" }),
    async hereNow({ channels, includeUUIDs = true }) {
      const query = includeUUIDs ? {} : { disable_uuids: "1" };
      const said = await api("GET", `/v2/presence/sub-key/${subscribeKey}/channel/${channels.join(",")}`, query);
      const totalOccupancy = said.payload ? said.payload.total_occupancy : said.occupancy;
      return { totalOccupancy, channels: said.payload ? said.payload.channels : {} };
    },
    async whereNow({ uuid }) {
      return { channels: (await api("GET", `/v2/presence/sub-key/${subscribeKey}/uuid/${uuid}`)).payload.channels };
    },
  };
}
