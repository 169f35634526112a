/** The card of one friend: since when, friends in common, removing and blocking. */

import { avatar, busy, byId, say } from "./elements.js";
import { plural, presence, since, status } from "./format.js";

export class FriendCard {
  /** `onProblem` receives errors; `onEnded` is called after a friend was removed or blocked. */
  constructor({ onProblem, onEnded }) {
    this.onProblem = onProblem;
    this.onEnded = onEnded;
    this.dialog = byId("card");
    byId("card-remove").addEventListener("click", (event) => this.end(event.target, "remove"));
    byId("card-block").addEventListener("click", (event) => this.end(event.target, "block"));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => (this.id = null));
  }

  /** Opens the card of one friend. */
  open(client, id) {
    this.client = client;
    this.id = id;
    this.update();
    byId("card-mutual").replaceChildren();
    this.dialog.showModal();
    this.loadMutual(id);
  }

  /** Shows the client's current state; closes when the friendship has ended. */
  update() {
    if (!this.id) return;
    const friend = this.client.friends.find((one) => one.id === this.id);
    if (!friend) {
      this.dialog.close();
      return;
    }
    const state = presence(friend);
    byId("card-avatar").replaceChildren(avatar(friend, state));
    say(this.dialog.querySelector("#card-name bdi"), friend.name || friend.id);
    say(byId("card-status"), status(friend, this.client.now()));
    byId("card-status").dataset.presence = state;
    say(byId("card-since"), since(friend.since));
  }

  async loadMutual(id) {
    try {
      const [friend, some] = await Promise.all([this.client.friend(id), this.client.mutual(id, 5)]);
      if (id !== this.id) return;
      const count = document.createElement("p");
      count.textContent = `${plural(friend.mutualCount, "friend")} in common`;
      const faces = document.createElement("div");
      faces.className = "faces";
      faces.append(...some.map((one) => avatar(one, presence(one))));
      byId("card-mutual").replaceChildren(count, faces);
    } catch (problem) {
      if (id === this.id) this.onProblem(problem);
    }
  }

  async end(pressed, action) {
    const { id } = this;
    await busy(pressed, () => this.client[action](id), this.onProblem);
    this.dialog.close();
    this.onEnded();
  }
}
