/** Friends with live presence. The rules of what is shown are in `state.js`. */

/** How a user is identified to the service. */
export interface SessionOptions {
  /** Address of the service, such as `https://friends.example.com`; the page's own by default. */
  api?: string;
  /**
   * The product's token (JWT) of this user, or a function that returns it. The function is called at every request,
   * with `true` after the service rejected the token before; the token is never stored.
   */
  token: string | ((afresh: boolean) => string | Promise<string>);
}

export interface ConnectOptions {
  session: SessionOptions;
  /** The constructor of PubNub's official JavaScript SDK; `globalThis.PubNub` by default. */
  PubNub?: unknown;
  fetch?: typeof fetch;
}

export interface Friend {
  id: string;
  /** As stored by the service; show it as text, it may contain anything a user can type. */
  name: string;
  /** null while presence is unknown. */
  online: boolean | null;
  /** ISO 8601; null when never online. */
  lastSeen: string | null;
  /** ISO 8601; null when not known. */
  since: string | null;
}

export interface Request {
  id: string;
  name: string;
  /** ISO 8601; null when not known. */
  at: string | null;
  incoming: boolean;
}

export interface Everyone {
  online: number;
  /** Change since the count before. */
  delta: number;
  /** The last counts, oldest first, at most 60. */
  trend: number[];
}

export interface Suggestion {
  id: string;
  name: string;
  online: boolean;
  mutualCount: number;
  /** The first three friends in common. */
  mutuals: { id: string; name: string; online: boolean }[];
}

export interface Outcome {
  user: string;
  /** The relation of the two users now. */
  state: string;
  changed: boolean;
}

export interface Connection {
  state: "connecting" | "connected" | "reconnecting" | "signedOut" | "closed";
  /** For `reconnecting`: unreachable, timeout or refused. For `signedOut`: the service's message. */
  reason: string | null;
}

export interface Notice {
  kind: "online" | "offline" | "added" | "requested";
  id: string;
  name: string;
}

/** The service responded with a problem. */
export declare class Refused extends Error {
  readonly status: number;
  /** Stable; see the service's API document. */
  readonly code: string;
  readonly temporary: boolean;
  /** Another token is needed. */
  readonly signedOut: boolean;
  /** Seconds until a retry, where the request was rejected undone and the wait is longer than the client retries for. */
  readonly comeBackAfter?: number;
}

/** There was no response. */
export declare class Unreachable extends Error {
  readonly code: "unreachable";
  readonly temporary: true;
  readonly signedOut: false;
}

export interface Client {
  readonly userId: string;
  readonly connection: Connection;
  readonly friends: Friend[];
  readonly requests: { incoming: Request[]; outgoing: Request[] };
  readonly everyone: Everyone | null;
  /**
   * Why presence is unknown: no count arrived from the service in time, or it reported that it is degraded. No friend
   * stays shown as online because a server died.
   */
  readonly unknown: "silence" | "degraded" | null;
  /** The service's time in milliseconds since the epoch, whatever this device's clock says. */
  now(): number;
  on(name: "change", listener: (client: Client) => void): () => void;
  on(name: "connection", listener: (connection: Connection) => void): () => void;
  on(name: "notice", listener: (notice: Notice) => void): () => void;
  on(name: "problem", listener: (problem: Error) => void): () => void;
  ask(id: string): Promise<Outcome>;
  accept(id: string): Promise<Outcome>;
  remove(id: string): Promise<Outcome>;
  decline(id: string): Promise<Outcome>;
  block(id: string): Promise<Outcome>;
  unblock(id: string): Promise<Outcome>;
  appearOffline(invisible: boolean): Promise<{ invisible: boolean; changed: boolean }>;
  suggestions(limit?: number): Promise<Suggestion[]>;
  blocks(): Promise<{ id: string; name: string; at: string | null }[]>;
  friend(id: string): Promise<Friend & { mutualCount: number; ts: string }>;
  mutual(id: string, limit?: number): Promise<Friend[]>;
  /** Call it when the device wakes up or the page becomes visible: reconnects now instead of after the backoff. */
  wake(): void;
  /** Leaves and closes. Call it with true on `pagehide`: the leave then outlives the page. */
  close(unloading?: boolean): void;
}

/**
 * Connects one user, who is present from then on.
 *
 * @throws Refused — `signedOut` where the token is wrong or has expired. Unreachable — there was no response.
 */
export declare function connect(options: ConnectOptions): Promise<Client>;
