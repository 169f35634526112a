/**
 * One device's connection through PubNub's official SDK: channels, tokens, reconnects with backoff and jitter. What a
 * message means is decided elsewhere.
 *
 * The SDK's own retries are switched off, so that a failure is known at once and has a reason. The SDK stops its
 * heartbeats at the first that fails, and its event engine does not report a full reply: both are handled here.
 */

/** A reply of this many messages means that others may have been lost (PubNub docs: subscriber queue). */
export const FULL_REPLY_MESSAGES = 100;
const MIN_BACKOFF_MILLISECONDS = 500;
const MAX_BACKOFF_MILLISECONDS = 15_000;

export class Connection {
  /** `handlers`: functions `message(body)`, `connected()`, `flooded()`, `trouble(reason)` and `refused()`. */
  constructor({ PubNub, session, handlers }) {
    this.session = session;
    this.handlers = handlers;
    this.attempts = 0;
    this.repliedMessages = 0;
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
    this.sdk.addListener({ message: (event) => this.onMessage(event), status: (event) => this.onStatus(event) });
  }

  /** Subscribes: from here on the user is present. */
  open() {
    const { inbox, presence, global } = this.session.channels;
    this.sdk.subscribe({ channels: [inbox, presence, global] });
  }

  /** Switches to another session: its token, and its presence channel where the number of shards has changed. */
  renew(session) {
    const before = this.session.channels.presence;
    const { presence } = session.channels;
    this.session = session;
    if (session.token) this.sdk.setToken(session.token);
    if (presence === before) return;
    this.sdk.subscribe({ channels: [presence] });
    this.sdk.unsubscribe({ channels: [before] });
  }

  /** Reconnects now instead of after the backoff. */
  reconnect() {
    clearTimeout(this.timer);
    if (!this.closed) this.sdk.reconnect();
  }

  /** Leaves and closes. With `unloading` the leave outlives the page, which the SDK's own would not. */
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

  onMessage(event) {
    const { inbox, global } = this.session.channels;
    const isCount = event.message?.type === "status.count";
    if (event.channel !== (isCount ? global : inbox)) return;
    if (this.repliedMessages === 0) setTimeout(() => this.onReplyEnd(), 0);
    this.repliedMessages += 1;
    this.handlers.message(event.message);
  }

  /** All messages of a reply arrive in one turn of the event loop. */
  onReplyEnd() {
    if (this.repliedMessages >= FULL_REPLY_MESSAGES) this.handlers.flooded();
    this.repliedMessages = 0;
  }

  onStatus(event) {
    if (this.closed) return;
    if (event.category === "PNConnectedCategory") {
      this.attempts = 0;
      this.handlers.connected();
    } else if (event.operation === "PNHeartbeatOperation") {
      if (event.error) this.reconnectLater(event);
    } else if (event.error || event.category === "PNDisconnectedUnexpectedlyCategory" || event.category === "PNConnectionErrorCategory") {
      this.handlers.trouble(reason(event));
      this.reconnectLater(event);
    }
  }

  reconnectLater(event) {
    const refused = [event.error, event.category].includes("PNAccessDeniedCategory") || event.statusCode === 403;
    const pause = Math.min(MIN_BACKOFF_MILLISECONDS * 2 ** this.attempts, MAX_BACKOFF_MILLISECONDS) * (0.5 + Math.random() / 2);
    this.attempts += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      if (refused) await this.handlers.refused();
      this.reconnect();
    }, pause);
  }
}

function reason(event) {
  const category = [event.error, event.category].find((one) => typeof one === "string") ?? "";
  if (category.includes("AccessDenied")) return "refused";
  if (category.includes("Timeout")) return "timeout";
  return "unreachable";
}
