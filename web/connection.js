/**
 * One device's connection through PubNub's official SDK. Knows channels, tokens and attempts; what a message means is
 * decided elsewhere.
 *
 * Attempts are ours (the SDK's own are switched off), so that trouble is known at once and said in words. The SDK ends
 * its heartbeats at the first that fails, and its event engine says nothing of a full reply: both are seen to here.
 */

/** Messages of one reply that mean that others may have been lost (PubNub docs: subscriber queue). */
export const FULL_REPLY = 100;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;

export class Link {
  /** `hears`: functions `message(body)`, `connected()`, `flooded()`, `trouble(reason)` and `refused()`. */
  constructor(PubNub, session, hears) {
    this.session = session;
    this.hears = hears;
    this.attempts = 0;
    this.burst = 0;
    this.closed = false;
    this.sdk = new PubNub({
      subscribeKey: session.subscribeKey,
      publishKey: session.publishKey,
      userId: session.userId,
      origin: session.origin,
      ssl: session.tls,
      presenceTimeout: session.heartbeat,
      announceFailedHeartbeats: true,
      retryConfiguration: PubNub.NoneRetryPolicy?.(),
    });
    if (session.token) this.sdk.setToken(session.token);
    this.sdk.addListener({ message: (event) => this.heard(event), status: (event) => this.status(event) });
  }

  /** Subscribes: from here on the user is present. */
  open() {
    const { inbox, presence, global } = this.session.channels;
    this.sdk.subscribe({ channels: [inbox, presence, global] });
  }

  /** Goes on with another session: its token, and its presence channel where the number of shards has changed. */
  renew(session) {
    const before = this.session.channels.presence;
    const { presence } = session.channels;
    this.session = session;
    if (session.token) this.sdk.setToken(session.token);
    if (presence === before) return;
    this.sdk.subscribe({ channels: [presence] });
    this.sdk.unsubscribe({ channels: [before] });
  }

  /** Tries now, whatever pause there is. */
  again() {
    clearTimeout(this.timer);
    if (!this.closed) this.sdk.reconnect();
  }

  /** Leaves and ends. With `unloading` the leave outlives the page, which the SDK's own would not. */
  close(unloading = false) {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.timer);
    if (unloading) this.leave();
    else this.sdk.destroy();
  }

  leave() {
    const { channels, origin, subscribeKey, tls, token, userId } = this.session;
    const names = [channels.inbox, channels.presence, channels.global].map(encodeURIComponent).join(",");
    const query = new URLSearchParams({ uuid: userId, ...(token ? { auth: token } : {}) });
    const address = `${tls ? "https" : "http"}://${origin}/v2/presence/sub-key/${subscribeKey}/channel/${names}/leave?${query}`;
    fetch(address, { keepalive: true, credentials: "omit" }).catch(() => {});
  }

  heard(event) {
    const { inbox, global } = this.session.channels;
    const counts = event.message?.type === "status.count";
    if (event.channel !== (counts ? global : inbox)) return;
    if (this.burst === 0) setTimeout(() => this.ended(), 0);
    this.burst += 1;
    this.hears.message(event.message);
  }

  /** All messages of a reply come in one turn of the event loop. */
  ended() {
    if (this.burst >= FULL_REPLY) this.hears.flooded();
    this.burst = 0;
  }

  status(event) {
    if (this.closed) return;
    if (event.category === "PNConnectedCategory") {
      this.attempts = 0;
      this.hears.connected();
    } else if (event.operation === "PNHeartbeatOperation") {
      if (event.error) this.later(event);
    } else if (event.error || event.category === "PNDisconnectedUnexpectedlyCategory" || event.category === "PNConnectionErrorCategory") {
      this.hears.trouble(reason(event));
      this.later(event);
    }
  }

  later(event) {
    const refused = [event.error, event.category].includes("PNAccessDeniedCategory") || event.statusCode === 403;
    const pause = Math.min(FIRST_PAUSE * 2 ** this.attempts, LONGEST_PAUSE) * (0.5 + Math.random() / 2);
    this.attempts += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      if (refused) await this.hears.refused();
      this.again();
    }, pause);
  }
}

function reason(event) {
  const said = [event.error, event.category].find((one) => typeof one === "string") ?? "";
  if (said.includes("AccessDenied")) return "refused";
  if (said.includes("Timeout")) return "timeout";
  return "unreachable";
}
