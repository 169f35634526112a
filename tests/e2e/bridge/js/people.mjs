// Official JavaScript clients that do what the lines on standard input say and tell, a line each, what they hear.
// A line in: {"do": "open" | "subscribe" | "unsubscribe" | "token", "name", ...}. PACKAGES, CLIENT, ORIGIN: see clients.mjs.
import process from 'node:process';
import { createInterface } from 'node:readline';
import { client } from '../../origin/js/clients.mjs';

const clients = new Map();
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const orders = {
  open({ name, user, token }) {
    const made = client(user);
    if (token) made.setToken(token);
    made.addListener({
      message: ({ channel, message }) => tell({ name, channel, message }),
      status: ({ category, error }) => tell({ name, status: error ?? category }),
    });
    clients.set(name, made);
  },
  subscribe: ({ name, channels }) => clients.get(name).subscribe({ channels }),
  unsubscribe: ({ name, channels }) => clients.get(name).unsubscribe({ channels }),
  token: ({ name, token }) => clients.get(name).setToken(token),
  reconnect: ({ name }) => clients.get(name).reconnect(),
};

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line);
    orders[order.do](order);
  })
  .on('close', () => process.exit(0));
tell({ ready: true });
