/** One friend, close up: since when, whom both know, and the ways to part. Knows the client's calls. */

import { avatar, busy, byId, say } from "./elements.js";
import { plural, presence, since, status } from "./format.js";

export class FriendCard {
  /** `parted` hears that a friend was removed or blocked. */
  constructor(failed, parted) {
    this.failed = failed;
    this.parted = parted;
    this.dialog = byId("card");
    byId("card-remove").addEventListener("click", (event) => this.part(event.target, "remove"));
    byId("card-block").addEventListener("click", (event) => this.part(event.target, "block"));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => (this.id = null));
  }

  /** Opens on one friend. */
  open(client, id) {
    this.client = client;
    this.id = id;
    this.update();
    byId("card-mutual").replaceChildren();
    this.dialog.showModal();
    this.read(id);
  }

  /** Shows what the client knows now; closes when the friendship is over. */
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

  async read(id) {
    try {
      const [friend, some] = await Promise.all([this.client.friend(id), this.client.mutual(id, 5)]);
      if (id !== this.id) return;
      const words = document.createElement("p");
      words.textContent = `${plural(friend.mutualCount, "friend")} in common`;
      const faces = document.createElement("div");
      faces.className = "faces";
      faces.append(...some.map((one) => avatar(one, presence(one))));
      byId("card-mutual").replaceChildren(words, faces);
    } catch (problem) {
      if (id === this.id) this.failed(problem);
    }
  }

  async part(pressed, way) {
    const { id } = this;
    await busy(pressed, () => this.client[way](id), this.failed);
    this.dialog.close();
    this.parted();
  }
}
