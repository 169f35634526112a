/** Requests, suggestions and blocks, with what can be done about each. Knows the client's calls. */

import { button, byId, card, say } from "./elements.js";
import { lastSeen, mutual, number } from "./format.js";

/** Milliseconds between two looks for suggestions. */
const LOOK_PAUSE = 60_000;

export class PeoplePanels {
  constructor(failed) {
    this.failed = failed;
    this.suggested = [];
    this.asked = -Infinity;
  }

  /** Shows a client's people from now on. */
  follow(client) {
    this.client = client;
    this.suggested = [];
    this.drawn = "";
    this.asked = performance.now();
    this.update();
    this.look();
    this.readBlocks();
  }

  /** Shows what the client knows now. */
  update() {
    const { incoming, outgoing } = this.client.requests;
    const drawn = JSON.stringify([incoming, outgoing]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    byId("incoming").replaceChildren(...incoming.map((one) => this.incoming(one)));
    byId("outgoing").replaceChildren(...outgoing.map((one) => this.outgoing(one)));
    byId("outgoing-title").hidden = byId("outgoing").hidden = outgoing.length === 0;
    byId("no-requests").hidden = incoming.length + outgoing.length > 0;
    for (const id of ["requests-count", "tab-badge"]) {
      byId(id).hidden = incoming.length === 0;
      say(byId(id), number(incoming.length));
    }
    this.drawSuggestions();
  }

  /** After a friendship began or ended others may be known. */
  changed() {
    if (performance.now() - this.asked > LOOK_PAUSE) this.look();
    this.drawSuggestions();
  }

  async look() {
    const client = this.client;
    this.asked = performance.now();
    try {
      const found = await client.suggestions(20);
      if (client !== this.client) return;
      this.suggested = found;
      this.drawSuggestions();
    } catch (problem) {
      say(byId("no-suggestions"), `No suggestions now: ${problem.message}.`);
    }
  }

  drawSuggestions() {
    const taken = new Set([...this.client.state.friends.keys(), ...this.client.state.requests.keys()]);
    const shown = this.suggested.filter((one) => !taken.has(one.id)).slice(0, 8);
    byId("suggestions").replaceChildren(...shown.map((one) => this.suggestion(one)));
    byId("no-suggestions").hidden = shown.length > 0;
    if (!shown.length) say(byId("no-suggestions"), "Nobody to suggest at the moment.");
  }

  suggestion(person) {
    return card(person, mutual(person), [this.button("Add", "soft", () => this.client.ask(person.id))]);
  }

  incoming(person) {
    const told = person.at ? lastSeen(person.at, this.client.now()).replace("Last seen", "Asked") : "Asked to be your friend";
    return card(person, told, [
      this.button("Accept", "primary", () => this.client.accept(person.id)),
      this.button("Decline", "quiet", () => this.client.decline(person.id)),
    ]);
  }

  outgoing(person) {
    return card(person, "Waiting for an answer", [this.button("Cancel", "quiet", () => this.client.decline(person.id))]);
  }

  async readBlocks() {
    const client = this.client;
    const blocked = await client.blocks().catch(() => []);
    if (client !== this.client) return;
    byId("blocks-panel").hidden = blocked.length === 0;
    say(byId("blocks-count"), number(blocked.length));
    byId("blocks").replaceChildren(...blocked.map((one) => this.blocked(one)));
  }

  blocked(person) {
    const unblock = async () => {
      await this.client.unblock(person.id);
      await this.readBlocks();
    };
    return card(person, "Cannot ask you, nor see you", [this.button("Unblock", "quiet", unblock)]);
  }

  button(label, kind, work) {
    return button(label, kind, work, this.failed);
  }
}
