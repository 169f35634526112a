/** Requests, suggestions and blocks, with the buttons of each. */

import { button, byId, card, say } from "./elements.js";
import { lastSeen, mutual, number } from "./format.js";

/** Between two requests for suggestions. */
const SUGGESTIONS_INTERVAL_MILLISECONDS = 60_000;
const MAX_SUGGESTIONS = 20;
const MAX_SHOWN_SUGGESTIONS = 8;

export class UserPanels {
  constructor({ onProblem }) {
    this.onProblem = onProblem;
    this.suggested = [];
    this.requestedAt = -Infinity;
  }

  /** Shows this client's requests, suggestions and blocks from now on. */
  follow(client) {
    this.client = client;
    this.suggested = [];
    this.drawn = "";
    this.requestedAt = performance.now();
    this.update();
    this.loadSuggestions();
    this.loadBlocks();
  }

  /** Shows the client's current state. */
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

  /** A new friendship changes whom this user may know. */
  onFriendAdded() {
    if (performance.now() - this.requestedAt > SUGGESTIONS_INTERVAL_MILLISECONDS) this.loadSuggestions();
    this.drawSuggestions();
  }

  async loadSuggestions() {
    const client = this.client;
    this.requestedAt = performance.now();
    try {
      const suggested = await client.suggestions(MAX_SUGGESTIONS);
      if (client !== this.client) return;
      this.suggested = suggested;
      this.drawSuggestions();
    } catch (problem) {
      say(byId("no-suggestions"), `No suggestions now: ${problem.message}.`);
    }
  }

  drawSuggestions() {
    const taken = new Set([...this.client.state.friends.keys(), ...this.client.state.requests.keys()]);
    const shown = this.suggested.filter((one) => !taken.has(one.id)).slice(0, MAX_SHOWN_SUGGESTIONS);
    byId("suggestions").replaceChildren(...shown.map((one) => this.suggestion(one)));
    byId("no-suggestions").hidden = shown.length > 0;
    if (!shown.length) say(byId("no-suggestions"), "No suggestions at the moment.");
  }

  suggestion(user) {
    return card(user, mutual(user), [this.button("Add", "soft", () => this.client.ask(user.id))]);
  }

  incoming(user) {
    const asked = user.at ? lastSeen(user.at, this.client.now()).replace("Last seen", "Asked") : "Asked to be your friend";
    return card(user, asked, [
      this.button("Accept", "primary", () => this.client.accept(user.id)),
      this.button("Decline", "quiet", () => this.client.decline(user.id)),
    ]);
  }

  outgoing(user) {
    return card(user, "Waiting for an answer", [this.button("Cancel", "quiet", () => this.client.decline(user.id))]);
  }

  async loadBlocks() {
    const client = this.client;
    const blocked = await client.blocks().catch(() => []);
    if (client !== this.client) return;
    byId("blocks-panel").hidden = blocked.length === 0;
    say(byId("blocks-count"), number(blocked.length));
    byId("blocks").replaceChildren(...blocked.map((one) => this.blocked(one)));
  }

  blocked(user) {
    const unblock = async () => {
      await this.client.unblock(user.id);
      await this.loadBlocks();
    };
    return card(user, "Cannot ask you, nor see you", [this.button("Unblock", "quiet", unblock)]);
  }

  button(label, kind, action) {
    return button(label, kind, action, this.onProblem);
  }
}
