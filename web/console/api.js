/** Client of the service's console routes. The key is stored in this object alone. */

export class Refused extends Error {
  constructor(problem) {
    super(problem.detail ?? "The service responded with an unexpected error.");
    this.code = problem.code ?? "unknown";
    this.status = problem.status ?? 0;
  }
}

/** There was no response. */
export class Unreachable extends Error {}

export class ApiClient {
  #headers;

  constructor(key, operator) {
    // A header holds Latin-1 only.
    const plain = operator.replace(/[^\x20-\x7e\xa0-\xff]/g, "?");
    this.#headers = { "X-Console-Key": key, ...(plain ? { "X-Operator": plain } : {}) };
  }

  /** One snapshot, which also verifies the key. */
  snapshot = () => this.#get("/v1/console");
  why = (viewer, friend) => this.#get("/v1/console/why", { viewer, friend });
  ego = (user, limit) => this.#get("/v1/console/ego", { user, limit });
  egoFlags = (user) => this.#get("/v1/console/ego/flags", { user });
  dead = () => this.#get("/v1/console/dead");
  audit = () => this.#get("/v1/console/audit");

  /** Redrives the dead letters, with the service key. */
  async redrive(serviceKey) {
    const { "X-Operator": by = "" } = this.#headers;
    return (await request("/v1/console/redrive", { method: "POST", headers: { "X-Service-Key": serviceKey, "X-Operator": by } })).json();
  }

  /** Events of the stream, each {kind, data}, until it ends or `signal` aborts. EventSource cannot send the key. */
  async *stream(signal) {
    const response = await request("/v1/console/stream", { headers: this.#headers, signal });
    let rest = "";
    for await (const chunk of chunks(response.body.pipeThrough(new TextDecoderStream()))) {
      const events = (rest + chunk).split("\n\n");
      rest = events.pop();
      for (const text of events) yield parseEvent(text);
    }
  }

  async #get(path, query) {
    const address = query ? `${path}?${new URLSearchParams(query)}` : path;
    return (await request(address, { headers: this.#headers })).json();
  }
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", credentials: "omit", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("The service does not respond.");
  }
  if (!response.ok) throw new Refused(await response.json().catch(() => ({ status: response.status })));
  return response;
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

function parseEvent(text) {
  const lines = text.split("\n").map((line) => line.split(/: (.*)/s));
  const fields = Object.fromEntries(lines.map(([name, value]) => [name, value]));
  return { kind: fields.event, data: JSON.parse(fields.data) };
}
