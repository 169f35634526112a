/** The list of friends: which are shown, in what order, and each one's row. Knows the client's friends; calls nobody. */

import { avatar, byId, say } from "./elements.js";
import { LongList } from "./list.js";
import { clipped, folded, number, presence, status } from "./format.js";

/** Milliseconds after which "5 minutes ago" is told anew. */
const WORDS_AGE = 20_000;
const order = new Intl.Collator("en", { sensitivity: "base", numeric: true });

export class FriendsPanel {
  constructor(chosen) {
    this.list = new LongList(byId("viewport"), byId("rows"), (row, friend) => this.draw(row, friend), chosen);
    this.ranks = new Map();
    this.filter = "all";
    this.wanted = "";
    byId("search").addEventListener("input", (event) => this.search(event.target.value));
    byId("filter").addEventListener("change", (event) => this.pick(event.target.value));
    setInterval(() => this.update(), WORDS_AGE);
  }

  /** Shows a client's friends from now on. */
  follow(client) {
    this.client = client;
    byId("viewport").scrollTop = 0;
    this.update();
  }

  /** Shows what the client knows now. */
  update() {
    if (!this.client) return;
    const friends = this.client.friends;
    this.now = this.client.now();
    this.rank(friends);
    const shown = friends.filter((friend) => this.fits(friend));
    shown.sort((one, other) => this.compare(one, other));
    this.list.show(shown);
    this.count(friends, shown);
  }

  search(text) {
    this.wanted = folded(text.trim());
    byId("viewport").scrollTop = 0;
    this.update();
  }

  pick(filter) {
    this.filter = filter;
    byId("viewport").scrollTop = 0;
    this.update();
  }

  fits(friend) {
    if (this.filter === "online" && !friend.online) return false;
    if (this.filter === "offline" && friend.online !== false) return false;
    return !this.wanted || this.ranks.get(friend.id).folded.includes(this.wanted);
  }

  /** Who is online first, then who was seen last; within that by name. */
  compare(one, other) {
    const here = Boolean(other.online) - Boolean(one.online);
    if (here) return here;
    const seen = [one, other].map((friend) => (friend.online === false && friend.lastSeen) || "");
    if (seen[0] !== seen[1]) return seen[0] < seen[1] ? 1 : -1;
    return this.ranks.get(one.id).at - this.ranks.get(other.id).at;
  }

  /** Everybody's place by name, compared again only when names have changed: comparing is what costs. */
  rank(friends) {
    const same = friends.length === this.ranks.size && friends.every((one) => this.ranks.get(one.id)?.name === one.name);
    if (same) return;
    const sorted = [...friends].sort((one, other) => order.compare(one.name, other.name) || (one.id < other.id ? -1 : 1));
    this.ranks = new Map(sorted.map(({ id, name }, at) => [id, { at, name, folded: folded(name) }]));
  }

  draw(row, friend) {
    const state = presence(friend);
    const name = friend.name || friend.id;
    if (row.drawn !== name) {
      row.drawn = name;
      row.querySelector(".avatar, .row-avatar").replaceWith(avatar(friend, state));
      say(row.querySelector(".row-name"), clipped(name));
    }
    row.dataset.presence = state;
    row.querySelector(".dot").dataset.presence = state;
    say(row.querySelector(".row-status"), status(friend, this.now));
  }

  count(friends, shown) {
    const here = friends.filter((friend) => friend.online).length;
    say(byId("friends-count"), number(friends.length));
    say(byId("online-count"), this.client.unknown ? "?" : number(here));
    const empty = byId("empty");
    empty.hidden = shown.length > 0;
    if (!empty.hidden) say(empty, emptiness(friends.length, this.wanted, this.filter));
  }
}

function emptiness(friends, wanted, filter) {
  if (!friends) return "No friends yet. Ask somebody you may know.";
  if (wanted) return "No friend of that name here.";
  return filter === "online" ? "No friend is online right now." : "Nobody here.";
}
