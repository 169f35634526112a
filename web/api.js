/**
 * Client of the service's HTTP API for one user: addresses, tokens, problems, retries. Stores no friends.
 *
 * The token is read at every request and never stored: where it is a function, it is called again with `true` after
 * the service rejected the token before, and the request is repeated once.
 */

/** Codes of load shedding and rate limits: the request was rejected before anything was done. */
const REJECTED_CODES = new Set(["overloaded", "rate_limited"]);

/** The service responded with a problem. `code` is stable; `message` is for users. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the service responded with ${status}`);
    this.name = "Refused";
    this.status = status;
    this.code = problem.code || "refused";
    /** Whether the same request may succeed later. */
    this.temporary = status === 429 || status >= 500;
    /** Whether another token is needed. */
    this.signedOut = status === 401;
    /** Seconds until a retry, where the request was rejected and nothing was done; else undefined. */
    this.comeBackAfter = REJECTED_CODES.has(problem.code) ? problem.retryAfter : undefined;
  }
}

/** There was no response. */
export class Unreachable extends Error {
  constructor(reason) {
    super(`the service does not respond (${reason})`);
    this.name = "Unreachable";
    this.code = "unreachable";
    this.temporary = true;
    this.signedOut = false;
  }
}

/** For one response, and for all retries of a rejected request together. */
const REQUEST_TIMEOUT_MILLISECONDS = 15_000;
/** The same for a session, which all clients request at once after an outage. */
const SESSION_TIMEOUT_MILLISECONDS = 60_000;
const MAX_PAGES = 20;

export class ApiClient {
  /** `session`: `{api, token}` as given to `connect`. `fetch` is the platform's. */
  constructor(session, fetch) {
    this.api = (session.api ?? "").replace(/\/$/, "");
    this.token = typeof session.token === "function" ? session.token : () => session.token;
    this.fetch = fetch;
    /** Milliseconds that the service's clock is ahead of this device's. */
    this.clockOffset = 0;
  }

  /** A session of `/v1/session`: keys, channels, a PubNub token. */
  session() {
    return this.request("POST", "/v1/session", undefined, SESSION_TIMEOUT_MILLISECONDS);
  }

  /** Requests a `friends.sync` on the inbox. */
  sync() {
    return this.request("POST", "/v1/sync");
  }

  /** Reads all pages of a list and calls `each(page)` for each. */
  async pages(path, each) {
    let after = "";
    for (let number = 0; number < MAX_PAGES; number += 1) {
      const page = await this.request("GET", `${path}${path.includes("?") ? "&" : "?"}limit=1000${after}`);
      each(page);
      if (!page.next) return;
      after = `&after=${encodeURIComponent(page.next)}`;
    }
  }

  /** The JSON of one response. A rejected request is retried within `timeout` ms. Throws `Refused` or `Unreachable`. */
  async request(method, path, body, timeout = REQUEST_TIMEOUT_MILLISECONDS) {
    const deadline = performance.now() + timeout;
    for (;;) {
      try {
        return await this.authenticated(method, path, body);
      } catch (problem) {
        // With jitter, so that clients that were rejected together do not retry together.
        const pause = problem.comeBackAfter * 1000 * (1 + Math.random() / 2);
        if (!(performance.now() + pause < deadline)) throw problem;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  async authenticated(method, path, body) {
    try {
      return await this.send(method, path, body, false);
    } catch (problem) {
      if (!problem.signedOut) throw problem;
      return this.send(method, path, body, true);
    }
  }

  async send(method, path, body, afresh) {
    const headers = { Authorization: `Bearer ${await this.token(afresh)}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await this.fetched(this.api + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MILLISECONDS),
    });
    const json = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refused(response.status, json);
    return json;
  }

  async fetched(address, options) {
    try {
      const response = await this.fetch(address, options);
      const date = Date.parse(response.headers.get("Date") ?? "");
      if (!Number.isNaN(date)) this.clockOffset = date - Date.now();
      return response;
    } catch (problem) {
      throw new Unreachable(problem.name === "TimeoutError" ? "timeout" : "no connection");
    }
  }
}

/** The path of one user below a list, such as `/v1/friends/ann`. */
export function pathOf(list, id) {
  return `/v1/${list}/${encodeURIComponent(id)}`;
}
