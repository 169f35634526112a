/** Dead letters, how they are redriven, and the audit log. */

import { byId, fill, make, moment, say } from "./elements.js";

export class DeadLetters {
  constructor({ api, toast }) {
    this.api = api;
    this.toast = toast;
  }

  async show() {
    const [dead, audit] = await Promise.all([this.api.dead(), this.api.audit()]);
    fill(byId("dead"), dead.letters.map(deadLetterRow), "No dead letters.");
    fill(byId("audit"), audit.looks.map(auditRow), "No entries yet.");
    const more = dead.total > dead.letters.length ? ` · the oldest ${dead.letters.length} are shown` : "";
    say(byId("dead-words"), `${dead.total} ${dead.total === 1 ? "message" : "messages"} that PubNub rejected as invalid${more}`);
    byId("redrive").disabled = !dead.total;
  }

  /** Redrives all; a failure is shown in the dialog. */
  async redrive(serviceKey) {
    const { redriven } = await this.api.redrive(serviceKey);
    this.toast(`${redriven} ${redriven === 1 ? "message is" : "messages are"} on the way again`);
    await this.show();
  }
}

function deadLetterRow(one) {
  const reason = make("td", { title: one.excerpt, text: one.reason });
  return make("tr", {}, make("td", { class: "when" }, moment(one.at)), make("td", { class: "id", text: one.inbox }), make("td", { text: one.kind }), make("td", { class: "num", text: one.bytes }), reason);
}

function auditRow(one) {
  return make("tr", {}, make("td", { class: "when" }, moment(one.at)), make("td", { text: one.what }), make("td", { class: "id", text: one.about || "–" }), make("td", { text: one.by || "–" }), make("td", { class: "id", text: one.address }));
}
