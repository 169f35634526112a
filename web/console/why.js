/** Why a viewer sees what they see of a friend: a sentence, the facts, and what happened, the newest first. */

import { between, byId, make, moment } from "./elements.js";

const OUTCOMES = {
  silent: "friends were not notified: a flap or a repeat",
  older: "the graph already had a newer state",
  unknown: "no such user in the graph",
};
const REASONS = {
  join: "joined", leave: "left", timeout: "timed out", interval: "was in an interval message",
  reconcile: "was corrected by a reconcile", confirm: "was looked up", created: "was looked up when created",
};

export function showWhy(why) {
  const verdict = make("p", { class: "verdict", data: { shown: why.shownOnline ? "online" : "offline" }, text: why.verdict });
  byId("why").replaceChildren(verdict, facts(why), timeline(why));
}

export function showTrouble(error) {
  byId("why").replaceChildren(make("p", { class: "error", text: error.message }));
}

function facts(why) {
  const present = why.presentNow === null ? "does not respond" : why.presentNow ? "present" : "absent";
  const rows = [
    ["friends", why.friends ? "yes" : "no"],
    ["blocked", why.viewerBlocked ? "by the viewer" : why.friendBlocked ? "by the friend" : "no"],
    ["flag", why.flag ? "online" : "offline"],
    ["appears offline", why.invisible ? "by choice" : "no"],
    ["PubNub says", present],
  ];
  const list = make("ul", { class: "facts", "aria-label": "Facts" });
  for (const [name, value] of rows) list.append(make("li", {}, `${name} `, make("b", { text: value })));
  return list;
}

function timeline(why) {
  const name = why.friendName || why.friend;
  const list = make("ol", { class: "timeline", "aria-label": "What happened, the newest first" });
  list.append(item("now", why.ts, `Now: ${name} is shown ${why.shownOnline ? "online" : "offline"}`, [`because ${why.because}`]));
  for (const one of [...why.pending].reverse()) {
    const until = new Date(one.heldUntil) > new Date(why.ts) ? `debounced for ${between(why.ts, one.heldUntil)} more` : "due: not committed yet";
    list.append(item("debounced", one.at, `${name} ${event(one)}`, ["observed, friends are not notified yet", until]));
  }
  for (const one of why.notices) list.append(committedChange(one, name));
  if (!why.notices.length) list.append(item("none", why.lastSeen, why.lastSeen ? `${name} was last online` : `${name} was never online`, ["no committed change within a day"]));
  return list;
}

function committedChange(one, name) {
  const state = one.online ? "online" : "offline";
  const failed = make("span", one.failed ? { class: "failed", text: `${one.failed} rejected by PubNub` } : { text: "none rejected" });
  const steps = [make("span", {}, "committed ", make("b", { text: state }), ` ${between(one.at, one.settledAt)} later`)];
  if (one.outcome === "told") steps.push(make("span", {}, "notified ", make("b", { text: one.recipients }), one.recipients === 1 ? " friend" : " friends"), failed);
  else steps.push(OUTCOMES[one.outcome] ?? one.outcome);
  return item(state, one.at, `${name} ${event(one)}`, steps, one.eventId);
}

const event = (one) => `${REASONS[one.reason] ?? one.reason}: ${one.online ? "online" : "offline"}`;

function item(presence, at, title, steps, eventId) {
  const line = make("p", { class: "steps" });
  steps.forEach((step, index) => line.append(...(index ? [" → ", step] : [step])));
  const inner = make("div", {}, make("p", { class: "event", text: title }), line);
  if (eventId) inner.append(make("p", { class: "steps id", text: eventId }));
  return make("li", { data: { presence } }, moment(at), inner);
}
