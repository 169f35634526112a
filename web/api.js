/**
 * The service's HTTP API as one person calls it. Knows addresses, tokens and problems; keeps no friend.
 *
 * The token is asked for at every call and never kept: where it is a function, it is called again with `true` when the
 * service refused the one before, and the call is repeated once.
 */

/** Problems that say: too much at this moment, nothing was done. */
const SENT_AWAY = new Set(["overloaded", "rate_limited"]);

/** The service answered and said no. `code` is stable; `message` is for people. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the service answered ${status}`);
    this.name = "Refused";
    this.status = status;
    this.code = problem.code || "refused";
    /** Whether the same call may work in a moment. */
    this.temporary = status === 429 || status >= 500;
    /** Whether another token is needed. */
    this.signedOut = status === 401;
    /** Seconds after which to come back, where the call was sent away undone; else undefined. */
    this.comeBackAfter = SENT_AWAY.has(problem.code) ? problem.retryAfter : undefined;
  }
}

/** Nobody answered. */
export class Unreachable extends Error {
  constructor(reason) {
    super(`the service does not answer (${reason})`);
    this.name = "Unreachable";
    this.code = "unreachable";
    this.temporary = true;
    this.signedOut = false;
  }
}

/** Milliseconds that a person is kept waiting: for an answer, or for a place where too many call at once. */
const PATIENCE = 15_000;
/** The same for a session, which everybody wants at once after an outage. */
const SESSION_PATIENCE = 60_000;
const MOST_PAGES = 20;

export class Calls {
  /** `session`: `{api, token}` as given to `connect`. `fetch` is the platform's. */
  constructor(session, fetch) {
    this.api = (session.api ?? "").replace(/\/$/, "");
    this.token = typeof session.token === "function" ? session.token : () => session.token;
    this.fetch = fetch;
    /** Milliseconds that the service's clock is ahead of this device's. */
    this.ahead = 0;
  }

  /** What `/v1/session` says: keys, channels, a PubNub token. */
  session() {
    return this.call("POST", "/v1/session", undefined, SESSION_PATIENCE);
  }

  /** Asks for a `friends.sync` on the inbox. */
  sync() {
    return this.call("POST", "/v1/sync");
  }

  /** All pages of a list, each handed to `each(page)`. */
  async pages(path, each) {
    let after = "";
    for (let number = 0; number < MOST_PAGES; number += 1) {
      const page = await this.call("GET", `${path}${path.includes("?") ? "&" : "?"}limit=1000${after}`);
      each(page);
      if (!page.next) return;
      after = `&after=${encodeURIComponent(page.next)}`;
    }
  }

  /** One call; its JSON. Who is sent away comes back as told, within `patience`. Throws `Refused` or `Unreachable`. */
  async call(method, path, body, patience = PATIENCE) {
    const until = performance.now() + patience;
    for (;;) {
      try {
        return await this.signed(method, path, body);
      } catch (problem) {
        // Spread, so that all who were sent away together do not come back together.
        const pause = problem.comeBackAfter * 1000 * (1 + Math.random() / 2);
        if (!(performance.now() + pause < until)) throw problem;
        await new Promise((over) => setTimeout(over, pause));
      }
    }
  }

  async signed(method, path, body) {
    try {
      return await this.once(method, path, body, false);
    } catch (problem) {
      if (!problem.signedOut) throw problem;
      return this.once(method, path, body, true);
    }
  }

  async once(method, path, body, afresh) {
    const headers = { Authorization: `Bearer ${await this.token(afresh)}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await this.answered(this.api + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(PATIENCE),
    });
    const read = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Refused(answer.status, read);
    return read;
  }

  async answered(address, request) {
    try {
      const answer = await this.fetch(address, request);
      const date = Date.parse(answer.headers.get("Date") ?? "");
      if (!Number.isNaN(date)) this.ahead = date - Date.now();
      return answer;
    } catch (problem) {
      throw new Unreachable(problem.name === "TimeoutError" ? "no answer in time" : "no connection");
    }
  }
}

/** The path of one person below a list, such as `/v1/friends/ann`. */
export function of(list, id) {
  return `/v1/${list}/${encodeURIComponent(id)}`;
}
