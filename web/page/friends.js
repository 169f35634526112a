/** The list of friends: which are shown, in what order, and the row of each. Makes no requests. */

import { avatar, byId, say } from "./elements.js";
import { LongList } from "./list.js";
import { clipped, folded, number, presence, status } from "./format.js";

/** Between two updates of "5 minutes ago". */
const REFRESH_MILLISECONDS = 20_000;
const order = new Intl.Collator("en", { sensitivity: "base", numeric: true });

export class FriendsPanel {
  /** `onChoose(id)` is called when a friend is chosen. */
  constructor({ onChoose }) {
    this.list = new LongList({ viewport: byId("viewport"), rows: byId("rows"), draw: (row, friend) => this.draw(row, friend), onChoose });
    this.ranks = new Map();
    this.filter = "all";
    this.query = "";
    byId("search").addEventListener("input", (event) => this.search(event.target.value));
    byId("filter").addEventListener("change", (event) => this.pick(event.target.value));
    setInterval(() => this.update(), REFRESH_MILLISECONDS);
  }

  /** Shows this client's friends from now on. */
  follow(client) {
    this.client = client;
    byId("viewport").scrollTop = 0;
    this.update();
  }

  /** Shows the client's current state. */
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
    this.query = folded(text.trim());
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
    return !this.query || this.ranks.get(friend.id).folded.includes(this.query);
  }

  /** Friends online first, then by last seen; then by name. */
  compare(one, other) {
    const online = Boolean(other.online) - Boolean(one.online);
    if (online) return online;
    const seen = [one, other].map((friend) => (friend.online === false && friend.lastSeen) || "");
    if (seen[0] !== seen[1]) return seen[0] < seen[1] ? 1 : -1;
    return this.ranks.get(one.id).at - this.ranks.get(other.id).at;
  }

  /** The place of each friend by name, sorted again only when names have changed: comparing is expensive. */
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
    const online = friends.filter((friend) => friend.online).length;
    say(byId("friends-count"), number(friends.length));
    say(byId("online-count"), this.client.unknown ? "?" : number(online));
    const empty = byId("empty");
    empty.hidden = shown.length > 0;
    if (!empty.hidden) say(empty, emptyText(friends.length, this.query, this.filter));
  }
}

function emptyText(friends, query, filter) {
  if (!friends) return "No friends yet. Ask someone you may know.";
  if (query) return "No friend of that name here.";
  return filter === "online" ? "No friend is online right now." : "No friends here.";
}
