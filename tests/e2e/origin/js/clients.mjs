// Loads the official clients and ends a script: shared by the scripts of this folder.
// PACKAGES is a folder with node_modules, CLIENT the name of the pubnub package in it, ORIGIN host:port.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import process from 'node:process';

const require = createRequire(`${process.env.PACKAGES}/package.json`);

/** A client of the version under test; `more` are further constructor options. */
export function client(userId, more = {}) {
  const PubNub = require(process.env.CLIENT ?? 'pubnub');
  return new PubNub({ ...keys, userId, ...more });
}

/** The Chat SDK's entry class. */
export function chatClass() {
  return require('@pubnub/chat').Chat;
}

export const keys = { publishKey: 'demo', subscribeKey: 'demo', origin: process.env.ORIGIN, ssl: false };

/** Resolves when `holds()` is true, or fails after `ms`. */
export async function until(holds, what, ms = 8000) {
  const end = Date.now() + ms;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `timed out: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** The error of a call that must fail. */
export async function failure(call) {
  try {
    await call;
  } catch (error) {
    return error;
  }
  return assert.fail('the call was expected to fail');
}

/** Runs every step in turn, names each that passed on stdout, and ends the process. */
export async function run(steps) {
  for (const [name, step] of Object.entries(steps)) {
    await step();
    process.stdout.write(`${name}\n`);
  }
  process.exit(0);
}
