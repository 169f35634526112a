/** The console: a key opens it, one stream feeds it, three tabs show it. The key is stored in memory only. */

import { ApiClient, Refused } from "./api.js";
import { Charts } from "./charts.js";
import { DeadLetters } from "./dead-letters.js";
import { Ego } from "./ego.js";
import { byId, say, short } from "./elements.js";
import { Overview } from "./overview.js";
import { Pipeline } from "./pipeline.js";
import { showTrouble, showWhy } from "./why.js";

const TABS = ["overview", "users", "dead-letters"];
/** Without an event for this long the stream counts as broken. */
const STREAM_TIMEOUT_MILLISECONDS = 10_000;
const MIN_BACKOFF_MILLISECONDS = 1_000;
const MAX_BACKOFF_MILLISECONDS = 15_000;
const TOAST_MILLISECONDS = 4_000;
let deadLetters = null;

function toast(text) {
  const place = byId("toast");
  place.textContent = text;
  place.hidden = false;
  setTimeout(() => (place.hidden = true), TOAST_MILLISECONDS);
}

/** Verifies the key, and opens the console with it. */
async function open(key, operator) {
  say(byId("login-words"), "One moment…");
  const api = new ApiClient(key, operator);
  try {
    await api.snapshot();
  } catch (error) {
    say(byId("login-words"), error.message);
    return;
  }
  byId("login").hidden = true;
  byId("app").hidden = false;
  run(api);
}

function run(api) {
  const [pipeline, charts] = [new Pipeline(), new Charts()];
  const ego = new Ego({ api, onChoose: (viewer, friend) => explain(viewer, friend) });
  const overview = new Overview({ onChoose: (user) => showUser(user) });
  deadLetters = new DeadLetters({ api, toast });
  addEventListener("hashchange", showTab);
  showTab();

  async function explain(viewer, friend) {
    byId("why-viewer").value = viewer;
    byId("why-friend").value = friend;
    await api.why(viewer, friend).then(showWhy, showTrouble);
  }

  function showUser(user) {
    location.hash = "users";
    showTab();
    byId("ego-user").value = user;
    ego.show(user).catch((error) => say(byId("ego-words"), error.message));
  }

  onSubmit("why-form", () => explain(byId("why-viewer").value.trim(), byId("why-friend").value.trim()));
  onSubmit("ego-form", () => showUser(byId("ego-user").value.trim()));
  follow(api, {
    past: (rows) => charts.past(rows),
    snapshot: (snapshot) => {
      showHeader(snapshot);
      pipeline.show(snapshot.walk);
      charts.show(snapshot.ts, snapshot.figures);
      overview.show(snapshot);
    },
    trouble: ({ reason }) => showBanner(reason),
  });
}

/** Reads the stream without end; when it breaks or times out, reads it again with backoff. */
async function follow(api, handlers) {
  for (let pause = MIN_BACKOFF_MILLISECONDS; ; pause = Math.min(MAX_BACKOFF_MILLISECONDS, pause * 2)) {
    const stop = new AbortController();
    let watch = setTimeout(() => stop.abort(), STREAM_TIMEOUT_MILLISECONDS);
    try {
      for await (const { kind, data } of api.stream(stop.signal)) {
        clearTimeout(watch);
        watch = setTimeout(() => stop.abort(), STREAM_TIMEOUT_MILLISECONDS);
        showLive(kind === "trouble" ? "lost" : "live", kind === "trouble" ? "Valkey is unavailable" : "live");
        pause = MIN_BACKOFF_MILLISECONDS;
        handlers[kind]?.(data);
      }
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return location.reload();
      if (error instanceof Refused) showLive("lost", error.message);
    } finally {
      clearTimeout(watch);
    }
    if (byId("live").dataset.state !== "lost") showLive("lost", "connection lost, retrying");
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

function showLive(state, words) {
  byId("live").dataset.state = state;
  say(byId("live"), words);
}

function showHeader(snapshot) {
  say(byId("online"), snapshot.online === null ? "–" : snapshot.online.toLocaleString());
  showBanner(snapshot.degraded ? snapshot.reason : null);
  const dead = byId("dead-badge");
  dead.hidden = !snapshot.dead;
  say(dead, short(snapshot.dead));
}

function showBanner(reason) {
  byId("degraded").hidden = !reason;
  if (reason) say(byId("degraded"), `Degraded: ${reason}. Clients show presence as unknown.`);
}

/** Shows the tab that the address names. */
function showTab() {
  const wanted = location.hash.slice(1);
  const tab = TABS.includes(wanted) ? wanted : TABS[0];
  for (const name of TABS) {
    byId(name).hidden = name !== tab;
    const link = document.querySelector(`.tabs a[href="#${name}"]`);
    if (name === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
  if (tab === "dead-letters") deadLetters.show().catch((error) => toast(error.message));
}

function onSubmit(id, act) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act();
  });
}

onSubmit("login-form", () => open(byId("key").value.trim(), byId("operator").value.trim()));
byId("lock").addEventListener("click", () => location.reload());
byId("redrive").addEventListener("click", () => {
  say(byId("redrive-words"), "");
  byId("redrive-dialog").showModal();
});
byId("redrive-cancel").addEventListener("click", () => byId("redrive-dialog").close());
byId("redrive-dialog").addEventListener("close", () => (byId("service-key").value = ""));
onSubmit("redrive-form", async () => {
  try {
    await deadLetters.redrive(byId("service-key").value.trim());
    byId("redrive-dialog").close();
  } catch (error) {
    say(byId("redrive-words"), error.message);
  }
});

// `make run` prints an address with the key behind the #, which no server sees; it is removed from the address bar.
const keyInAddress = new URLSearchParams(location.hash.slice(1)).get("key");
if (keyInAddress) {
  history.replaceState(null, "", location.pathname);
  open(keyInAddress, "");
}
