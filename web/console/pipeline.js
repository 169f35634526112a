/** The walk as a picture: ten boxes in two lanes, and dots that run as fast as events do. */

import { byId, draw, lasted, make, say, short } from "./elements.js";

const WIDTH = 207;
const HEIGHT = 112;
const GAP = 30;
const LANE = 5;

export class Walk {
  #rows = [];

  constructor() {
    this.svg = byId("walk");
    this.table = byId("walk-table").tBodies[0];
  }

  show(rows) {
    if (!this.#rows.length) this.#build(rows);
    rows.forEach((row, index) => this.#update(this.#rows[index], row));
    const trouble = rows.filter((row) => row.trouble).map((row) => `${row.name}: ${row.trouble}`);
    this.svg.setAttribute("aria-label", `The walk in ten rows. ${trouble.join("; ") || "Nothing is wrong."}`);
  }

  #build(rows) {
    this.#rows = rows.map((row, index) => {
      const [x, y] = place(index);
      const parts = {
        pipe: index ? draw("path", { class: "pipe", d: way(index) }) : null,
        flow: index ? draw("path", { class: "flow", d: way(index) }) : null,
        rate: draw("tspan", {}), unit: draw("tspan", { class: "unit", dx: 6 }), facts: draw("text", { class: "facts", x: 14, y: 97 }),
        cells: [0, 1, 2].map(() => make("td")),
      };
      parts.box = draw("g", { class: "row", transform: `translate(${x} ${y})`, data: { row: row.name } },
        draw("rect", { class: "box", width: WIDTH, height: HEIGHT, rx: 12 }),
        draw("text", { class: "number", x: WIDTH - 14, y: 23, "text-anchor": "end", text: row.row }),
        draw("text", { class: "name", x: 14, y: 24, text: row.name }),
        draw("text", { class: "does", x: 14, y: 41, text: row.does }),
        draw("text", { class: "rate", x: 14, y: 74 }, parts.rate, parts.unit), parts.facts);
      this.table.append(make("tr", {}, make("th", { scope: "row", text: row.name }), ...parts.cells));
      return parts;
    });
    const behind = this.#rows.flatMap(({ pipe, flow }) => (pipe ? [pipe, flow] : []));
    this.svg.replaceChildren(...behind, ...this.#rows.map(({ box }) => box));
  }

  #update(parts, row) {
    say(parts.rate, short(row.rate));
    say(parts.unit, `${row.unit}/s`);
    const waits = row.waiting === null ? "" : row.waiting ? `${short(row.waiting)} waiting` : "nothing waits";
    const lag = row.lag ? `${row.waiting === null ? "p99 " : "oldest "}${lasted(row.lag)}` : "";
    const late = row.name === "settle" && row.lag !== null ? (row.lag < 0.1 ? "on time" : `late by ${lasted(row.lag)}`) : "";
    say(parts.facts, row.trouble ?? (late || [waits, lag].filter(Boolean).join(" · ")));
    parts.facts.setAttribute("class", row.trouble ? "trouble" : "facts");
    parts.box.dataset.trouble = row.trouble ? "yes" : "no";
    [`${short(row.rate)} ${row.unit} a second`, waits, row.trouble ?? lag].forEach((text, index) => say(parts.cells[index], text));
    if (!parts.flow) return;
    const moving = row.rate > 0;
    parts.flow.dataset.moving = moving ? "yes" : "no";
    // Ten times the rate is about twice the speed: the eye should see busy from calm, not count.
    if (moving) parts.flow.style.setProperty("--pace", `${(2.2 / (1 + Math.log10(1 + row.rate))).toFixed(2)}s`);
  }
}

function place(index) {
  return [(index % LANE) * (WIDTH + GAP) + 1, Math.floor(index / LANE) * (HEIGHT + 50) + 1];
}

function way(index) {
  const [x, y] = place(index);
  if (index !== LANE) return `M ${x - GAP} ${y + HEIGHT / 2} H ${x}`;
  const [lastX, lastY] = place(LANE - 1);
  const [from, turn] = [lastX + WIDTH / 2, lastY + HEIGHT + 25];
  return `M ${from} ${lastY + HEIGHT} V ${turn - 10} q 0 10 -10 10 H ${x + WIDTH / 2 + 10} q -10 0 -10 10 V ${y}`;
}
