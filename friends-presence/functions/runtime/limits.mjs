// The limits of an execution and of a keyset; beyond one, LimitError is thrown and the execution fails.
// Figures: PubNub docs, API limits, 2026-09-30. Not enforced: 100,000 loop iterations, 250 console lines.

export const LIMITS = {
  xhr: 5,
  vault: 10,
  publish: 10,
  api: 10,
  kv: 10,
  hops: 3,
  milliseconds: 10_000,
  outboundPerSecond: 100,
  keysPerCall: 100,
  keyCharacters: 1000,
  valueCharacters: 32_000,
};

export class LimitError extends Error {
  constructor(what, most) {
    super(`more than ${most} ${what}`);
    this.name = "LimitError";
  }
}

// Calls of one execution, by kind.
export class Budget {
  constructor(limits, outbound) {
    this.limits = limits;
    this.outbound = outbound;
    this.used = { xhr: 0, vault: 0, publish: 0, api: 0, kv: 0 };
  }

  spend(kind) {
    this.used[kind] += 1;
    if (this.used[kind] > this.limits[kind]) throw new LimitError(`${kind} calls in one execution`, this.limits[kind]);
    if (kind === "xhr" || kind === "vault") this.outbound.take();
  }
}

// xhr and vault together, all executions of a keyset, in any window of one second.
export class Outbound {
  constructor(limits, now) {
    this.most = limits.outboundPerSecond;
    this.now = now;
    this.times = [];
  }

  take() {
    const now = this.now();
    this.times = this.times.filter((time) => now - time < 1000);
    if (this.times.length >= this.most) throw new LimitError("outbound requests in one second", this.most);
    this.times.push(now);
  }
}
