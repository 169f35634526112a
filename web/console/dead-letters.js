/** Dead letters, how they are put back, and who looked at whom. */

import { byId, fill, make, moment, say } from "./elements.js";

export class Letters {
  constructor(calls, toast) {
    this.calls = calls;
    this.toast = toast;
  }

  async show() {
    const [dead, audit] = await Promise.all([this.calls.dead(), this.calls.audit()]);
    fill(byId("dead"), dead.letters.map(letter), "No dead letters.");
    fill(byId("audit"), audit.looks.map(look), "Nobody looked yet.");
    const more = dead.total > dead.letters.length ? ` · the oldest ${dead.letters.length} are shown` : "";
    say(byId("dead-words"), `${dead.total} ${dead.total === 1 ? "message" : "messages"} that PubNub refused for their own sake${more}`);
    byId("redrive").disabled = !dead.total;
  }

  /** Puts them back; what goes wrong is said in the dialog. */
  async redrive(serviceKey) {
    const { redriven } = await this.calls.redrive(serviceKey);
    this.toast(`${redriven} ${redriven === 1 ? "letter is" : "letters are"} on the way again`);
    await this.show();
  }
}

function letter(one) {
  const words = make("td", { title: one.excerpt, text: one.reason });
  return make("tr", {}, make("td", { class: "when" }, moment(one.at)), make("td", { class: "id", text: one.inbox }), make("td", { text: one.kind }), make("td", { class: "num", text: one.bytes }), words);
}

function look(one) {
  return make("tr", {}, make("td", { class: "when" }, moment(one.at)), make("td", { text: one.what }), make("td", { class: "id", text: one.about || "–" }), make("td", { text: one.by || "–" }), make("td", { class: "id", text: one.address }));
}
