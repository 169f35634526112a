// A test double of a keyset with Functions: loads them, starts them by their trigger, and stops them at the platform's
// limits. Triggers: After Presence, After Publish or Fire, On Interval. A failed execution is appended to `failures`.

import { readFile } from "node:fs/promises";

import { kvstore } from "./kvstore.mjs";
import { Budget, LIMITS, LimitError, Outbound } from "./limits.mjs";
import { pubnub } from "./pubnub.mjs";

export class Keyset {
  constructor({ origin, subscribeKey = "demo", publishKey = "demo", secrets = {}, limits = {}, now = Date.now }) {
    this.keys = { origin, subscribeKey, publishKey };
    this.secrets = secrets;
    this.limits = { ...LIMITS, ...limits };
    this.now = now;
    this.outbound = new Outbound(this.limits, now);
    this.entries = new Map();
    this.deployed = [];
    this.failures = [];
    this.executions = 0;
  }

  // `trigger` is presence, publish or interval; `pattern` a channel, or a prefix ending in ".*".
  async deploy(trigger, pattern, file) {
    this.deployed.push({ trigger, pattern, source: await readFile(file, "utf8") });
  }

  presence(channel, message) {
    return this.#start("presence", channel, message, 1);
  }

  interval() {
    return this.#start("interval", "", undefined, 1);
  }

  async #start(trigger, channel, message, hop) {
    const hit = this.deployed.filter((one) => one.trigger === trigger && matches(one.pattern, channel));
    await Promise.all(hit.map((one) => this.#execute(one.source, channel, message, hop)));
  }

  async #execute(source, channel, message, hop) {
    this.executions += 1;
    const budget = new Budget(this.limits, this.outbound);
    try {
      if (hop > this.limits.hops) throw new LimitError("hops", this.limits.hops);
      const started = [];
      const handler = load(source, this.#modules(budget, hop, started), this.now);
      const request = { message: structuredClone(message), channels: [channel], ok: () => "ok", abort: () => "abort" };
      await within(this.limits.milliseconds, handler(request));
      await Promise.all(started);
    } catch (error) {
      this.failures.push(error);
    }
  }

  // Functions started by a publish run separately, so their failure is not the publisher's; `#execute` waits for all.
  #modules(budget, hop, started) {
    const secrets = this.secrets;
    const begin = async (channel, message) => {
      started.push(this.#start("publish", channel, message, hop + 1));
    };
    return {
      pubnub: pubnub(this.keys, budget, begin),
      kvstore: kvstore(this.entries, budget, this.now),
      vault: {
        async get(name) {
          budget.spend("vault");
          return secrets[name] ?? null;
        },
      },
      xhr: {
        async fetch(url, options) {
          budget.spend("xhr");
          const answer = await fetch(url, options);
          return { status: answer.status, body: await answer.text(), headers: Object.fromEntries(answer.headers) };
        },
      },
    };
  }
}

function matches(pattern, channel) {
  return pattern.endsWith(".*") ? channel.startsWith(pattern.slice(0, -1)) : pattern === channel;
}

// The platform's modules are ES modules with `require`; neither `process` nor npm packages exist.
function load(source, modules, now) {
  const require = (name) => {
    if (!modules[name]) throw new Error(`there is no module ${name} in Functions`);
    return modules[name];
  };
  const clock = class extends Date {
    constructor(...given) {
      super(...(given.length ? given : [now()]));
    }
    static now() {
      return now();
    }
  };
  const body = `${source.replace("export default", "const handler__ =")}\nreturn handler__;`;
  return new Function("require", "Date", "process", "fetch", body)(require, clock, undefined, undefined);
}

async function within(milliseconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new LimitError("milliseconds of an execution", milliseconds)), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
