// The `kvstore` module over one Map for each keyset: values are JSON, expire after a day by default, sizes are checked.
// Immediately consistent, which the platform's store is not: a test here cannot show what its lag breaks.

import { LimitError } from "./limits.mjs";

const MINUTE = 60_000;
const DAY = 24 * 60;
const YEAR = 365 * DAY;

export function kvstore(entries, budget, now) {
  const { limits } = budget;
  const alive = (key) => {
    const entry = entries.get(key);
    if (entry && entry.until <= now()) entries.delete(key);
    return entries.get(key);
  };
  return {
    async set(key, value, ttl = DAY) {
      budget.spend("kv");
      const text = JSON.stringify(value);
      if (key.length > limits.keyCharacters) throw new LimitError("characters of a key", limits.keyCharacters);
      if (text.length > limits.valueCharacters) throw new LimitError("characters of a value", limits.valueCharacters);
      entries.set(key, { text, until: now() + Math.min(Math.max(ttl, 1), YEAR) * MINUTE });
    },
    async get(key) {
      budget.spend("kv");
      const entry = alive(key);
      return entry ? JSON.parse(entry.text) : null;
    },
    async removeItem(key) {
      budget.spend("kv");
      entries.delete(key);
    },
    async getKeys() {
      budget.spend("kv");
      return [...entries.keys()].filter(alive).slice(0, limits.keysPerCall);
    },
  };
}
