/** Partitions and their owners, bridges, shards and top users. Elements are reused; only their content changes. */

import { byId, fill, lasted, make, say, short } from "./elements.js";

const HUES = [255, 60, 150, 320, 25, 200, 100, 285, 0, 175];

export class Overview {
  #hues = new Map();
  #partitions = [];
  #shards = [];

  /** `onChoose(user)` is called when a user is chosen. */
  constructor({ onChoose }) {
    this.onChoose = onChoose;
  }

  show(snapshot) {
    this.#showPartitions(snapshot);
    this.#showBridges(snapshot.bridges);
    this.#showShards(snapshot.shards);
    this.#showTopUsers(byId("costly"), snapshot.costly, (one) => [short(one.friends)], "No recent changes.");
    this.#showTopUsers(byId("flaps"), snapshot.flapLeaders, () => [], "No recent flaps.");
  }

  /** A bridge has the same colour until the page is reloaded. */
  #hue(owner) {
    if (!this.#hues.has(owner)) this.#hues.set(owner, HUES[this.#hues.size % HUES.length]);
    return this.#hues.get(owner);
  }

  #showPartitions({ partitions, bridges }) {
    const list = byId("partitions");
    while (this.#partitions.length < partitions.length) {
      const parts = { number: make("b"), online: make("span") };
      parts.cell = make("li", { class: "cell" }, parts.number, parts.online);
      this.#partitions.push(parts);
      list.append(parts.cell);
    }
    list.classList.toggle("small", partitions.length > 120);
    partitions.forEach((row, index) => this.#showCell(this.#partitions[index], row));
    const orphans = partitions.filter((row) => !row.owner).length;
    const waiting = partitions.reduce((sum, row) => sum + row.seen + row.inbox, 0);
    const ownerless = orphans ? ` · ${orphans} without a bridge` : "";
    say(byId("partitions-words"), `${partitions.length} over ${bridges.length} ${bridges.length === 1 ? "bridge" : "bridges"} · ${waiting ? `${short(waiting)} ${waiting === 1 ? "entry" : "entries"} pending` : "nothing pending"}${ownerless}`);
  }

  #showCell({ cell, number, online }, row) {
    cell.dataset.partition = row.number;
    cell.dataset.owner = row.owner ?? "";
    cell.dataset.late = row.late > 1 || (!row.owner && row.oldest > 1) ? "yes" : "no";
    cell.dataset.dead = row.dead ? "yes" : "no";
    cell.style.setProperty("--hue", row.owner ? this.#hue(row.owner) : 0);
    say(number, `P${row.number}`);
    say(online, row.owner ? short(row.online) : "no owner");
    cell.title = [
      `Partition ${row.number}: ${row.owner ?? "no bridge owns it"}`,
      `${short(row.online)} online, ${short(row.held)} debounced`,
      `${row.seen} log entries, ${row.inbox} inbox entries, ${row.dead} dead letters; oldest ${lasted(row.oldest)}`,
      row.late === null ? "" : `late by ${lasted(row.late)}`,
    ].filter(Boolean).join("\n");
  }

  #showBridges(bridges) {
    const rows = bridges.map((bridge) => {
      const swatch = make("span", { class: "swatch" });
      swatch.style.setProperty("--hue", this.#hue(bridge.name));
      const name = make("td", {}, swatch, make("span", { class: "id", text: bridge.name }));
      if (bridge.leads) name.append(make("span", { class: "leader", text: "leader" }));
      const quiet = bridge.quiet > 5 ? `silent ${lasted(bridge.quiet)}` : `${lasted(bridge.quiet)} ago`;
      const cells = [bridge.owned, short(bridge.heard), short(bridge.settled), short(bridge.published), quiet];
      return make("tr", { data: { bridge: bridge.name } }, name, ...cells.map((text) => make("td", { class: "num", text })));
    });
    fill(byId("bridges"), rows, "No bridge is alive.");
  }

  #showShards({ occupancy, together, skew }) {
    const place = byId("shards");
    if (this.#shards.length !== occupancy.length) {
      this.#shards = occupancy.map(() => make("i"));
      place.replaceChildren(...this.#shards);
    }
    const most = Math.max(1, ...occupancy);
    occupancy.forEach((count, index) => {
      const cell = this.#shards[index];
      cell.style.setProperty("--heat", (count / most).toFixed(3));
      const name = together === 1 ? `Shard ${index}` : `Shards ${index * together} to ${(index + 1) * together - 1}`;
      cell.title = `${name}: ${count} present`;
    });
    const low = occupancy.length ? Math.min(...occupancy) : 0;
    const words = occupancy.length ? `${occupancy.length * together} channels · ${skew === null ? "no user present" : `the fullest has ${skew}× the mean`}` : "not counted yet";
    say(byId("shards-words"), words);
    say(byId("shards-low"), short(low));
    say(byId("shards-high"), short(Math.max(0, ...occupancy)));
    place.setAttribute("aria-label", `Occupancy of the shards: ${words}, from ${low} to ${most} present`);
  }

  #showTopUsers(table, users, middle, empty) {
    if (table.contains(document.activeElement)) return; // an operator does not lose the row they are about to choose
    const most = Math.max(...users.map((one) => one.perMinute), 0.01);
    const rows = users.map((one) => {
      const open = make("button", { type: "button", class: "link id", text: one.user });
      open.addEventListener("click", () => this.onChoose(one.user));
      const rate = make("td", { class: "num bar-cell", text: short(one.perMinute) });
      rate.style.setProperty("--share", `${Math.round((one.perMinute / most) * 100)}%`);
      const cells = middle(one).map((text) => make("td", { class: "num", text }));
      return make("tr", {}, make("td", {}, open), ...cells, rate);
    });
    fill(table, rows, empty);
  }
}
