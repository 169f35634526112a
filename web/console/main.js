/** The console: a key opens it, one stream feeds it, three parts show it. The key is nowhere but in memory. */

import { Calls, Refused } from "./api.js";
import { Charts } from "./charts.js";
import { Ego } from "./ego.js";
import { byId, say, short } from "./elements.js";
import { Letters } from "./dead-letters.js";
import { Overview } from "./overview.js";
import { Walk } from "./pipeline.js";
import { showTrouble, showWhy } from "./why.js";

const PARTS = ["overview", "people", "letters"];
const SILENCE = 10_000;
let letters = null;

function toast(text) {
  const place = byId("toast");
  place.textContent = text;
  place.hidden = false;
  setTimeout(() => (place.hidden = true), 4000);
}

/** Tries the key, and opens the console with it. */
async function open(key, operator) {
  say(byId("gate-words"), "One moment…");
  const calls = new Calls(key, operator);
  try {
    await calls.snapshot();
  } catch (error) {
    say(byId("gate-words"), error.message);
    return;
  }
  byId("gate").hidden = true;
  byId("app").hidden = false;
  run(calls);
}

function run(calls) {
  const [walk, charts] = [new Walk(), new Charts()];
  const ego = new Ego(calls, (viewer, friend) => ask(viewer, friend));
  const overview = new Overview((user) => person(user));
  letters = new Letters(calls, toast);
  addEventListener("hashchange", turn);
  turn();

  async function ask(viewer, friend) {
    byId("why-viewer").value = viewer;
    byId("why-friend").value = friend;
    await calls.why(viewer, friend).then(showWhy, showTrouble);
  }

  function person(user) {
    location.hash = "people";
    turn();
    byId("ego-user").value = user;
    ego.show(user).catch((error) => say(byId("ego-words"), error.message));
  }

  onSubmit("why-form", () => ask(byId("why-viewer").value.trim(), byId("why-friend").value.trim()));
  onSubmit("ego-form", () => person(byId("ego-user").value.trim()));
  follow(calls, {
    past: (rows) => charts.past(rows),
    snapshot: (snapshot) => {
      header(snapshot);
      walk.show(snapshot.walk);
      charts.show(snapshot.ts, snapshot.figures);
      overview.show(snapshot);
    },
    trouble: ({ reason }) => banner(reason),
  });
}

/** Reads the stream for ever; when it breaks or falls silent, reads it again, later and later. */
async function follow(calls, show) {
  for (let pause = 1000; ; pause = Math.min(15_000, pause * 2)) {
    const stop = new AbortController();
    let watch = setTimeout(() => stop.abort(), SILENCE);
    try {
      for await (const { kind, data } of calls.stream(stop.signal)) {
        clearTimeout(watch);
        watch = setTimeout(() => stop.abort(), SILENCE);
        state(kind === "trouble" ? "lost" : "live", kind === "trouble" ? "the queue is away" : "live");
        pause = 1000;
        show[kind]?.(data);
      }
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return location.reload();
      if (error instanceof Refused) state("lost", error.message);
    } finally {
      clearTimeout(watch);
    }
    if (byId("live").dataset.state !== "lost") state("lost", "the stream broke, trying again");
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

function state(name, words) {
  byId("live").dataset.state = name;
  say(byId("live"), words);
}

function header(snapshot) {
  say(byId("online"), snapshot.online === null ? "–" : snapshot.online.toLocaleString());
  banner(snapshot.degraded ? snapshot.reason : null);
  const dead = byId("dead-badge");
  dead.hidden = !snapshot.dead;
  say(dead, short(snapshot.dead));
}

function banner(reason) {
  byId("degraded").hidden = !reason;
  if (reason) say(byId("degraded"), `Degraded: ${reason}. Clients are told to show presence as unknown.`);
}

/** Shows the part that the address names. */
function turn() {
  const wanted = location.hash.slice(1);
  const part = PARTS.includes(wanted) ? wanted : PARTS[0];
  for (const name of PARTS) {
    byId(name).hidden = name !== part;
    const link = document.querySelector(`.tabs a[href="#${name}"]`);
    if (name === part) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
  if (part === "letters") letters.show().catch((error) => toast(error.message));
}

function onSubmit(id, act) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act();
  });
}

onSubmit("gate-form", () => open(byId("key").value.trim(), byId("operator").value.trim()));
byId("lock").addEventListener("click", () => location.reload());
byId("redrive").addEventListener("click", () => {
  say(byId("redrive-words"), "");
  byId("redrive-dialog").showModal();
});
byId("redrive-cancel").addEventListener("click", () => byId("redrive-dialog").close());
byId("redrive-dialog").addEventListener("close", () => (byId("service-key").value = ""));
onSubmit("redrive-form", async () => {
  try {
    await letters.redrive(byId("service-key").value.trim());
    byId("redrive-dialog").close();
  } catch (error) {
    say(byId("redrive-words"), error.message);
  }
});

// `make run` prints an address with the key behind the #, which no server sees; it does not stay in the address bar.
const given = new URLSearchParams(location.hash.slice(1)).get("key");
if (given) {
  history.replaceState(null, "", location.pathname);
  open(given, "");
}
