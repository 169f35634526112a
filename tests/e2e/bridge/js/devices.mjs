// Official JavaScript clients: commands as lines on standard input, what they receive as lines on standard output.
// A command: {"do": "open" | "subscribe" | "unsubscribe" | "token", "name", ...}. PACKAGES, CLIENT, ORIGIN: see clients.mjs.
import process from 'node:process';
import { createInterface } from 'node:readline';
import { client } from '../../origin/js/clients.mjs';

const clients = new Map();
const write = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const commands = {
  open({ name, user, token }) {
    const made = client(user);
    if (token) made.setToken(token);
    made.addListener({
      message: ({ channel, message }) => write({ name, channel, message }),
      status: ({ category, error }) => write({ name, status: error ?? category }),
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
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on('close', () => process.exit(0));
write({ ready: true });
