/** The service's console routes. Knows the key, which lives in this object alone; knows no element. */

export class Refused extends Error {
  constructor(problem) {
    super(problem.detail ?? "The service did not answer as expected.");
    this.code = problem.code ?? "unknown";
    this.status = problem.status ?? 0;
  }
}

/** No answer at all. */
export class Unreachable extends Error {}

export class Calls {
  #headers;

  constructor(key, operator) {
    // A header holds Latin-1 only.
    const plain = operator.replace(/[^\x20-\x7e\xa0-\xff]/g, "?");
    this.#headers = { "X-Console-Key": key, ...(plain ? { "X-Operator": plain } : {}) };
  }

  /** One snapshot, which also shows whether the key is right. */
  snapshot = () => this.#get("/v1/console");
  why = (viewer, friend) => this.#get("/v1/console/why", { viewer, friend });
  ego = (user, limit) => this.#get("/v1/console/ego", { user, limit });
  egoFlags = (user) => this.#get("/v1/console/ego/flags", { user });
  dead = () => this.#get("/v1/console/dead");
  audit = () => this.#get("/v1/console/audit");

  /** Puts the dead letters back, by the service key. */
  async redrive(serviceKey) {
    const { "X-Operator": by = "" } = this.#headers;
    return (await answer("/v1/console/redrive", { method: "POST", headers: { "X-Service-Key": serviceKey, "X-Operator": by } })).json();
  }

  /** Events of the stream, each {kind, data}, until it ends or `signal` does. EventSource could not send the key. */
  async *stream(signal) {
    const reply = await answer("/v1/console/stream", { headers: this.#headers, signal });
    let rest = "";
    for await (const chunk of chunks(reply.body.pipeThrough(new TextDecoderStream()))) {
      const events = (rest + chunk).split("\n\n");
      rest = events.pop();
      for (const text of events) yield parsed(text);
    }
  }

  async #get(path, query) {
    const asked = query ? `${path}?${new URLSearchParams(query)}` : path;
    return (await answer(asked, { headers: this.#headers })).json();
  }
}

async function answer(path, options) {
  let reply;
  try {
    reply = await fetch(path, { cache: "no-store", credentials: "omit", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("The service does not answer.");
  }
  if (!reply.ok) throw new Refused(await reply.json().catch(() => ({ status: reply.status })));
  return reply;
}

async function* chunks(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(text) {
  const lines = text.split("\n").map((line) => line.split(/: (.*)/s));
  const found = Object.fromEntries(lines.map(([name, value]) => [name, value]));
  return { kind: found.event, data: JSON.parse(found.data) };
}
