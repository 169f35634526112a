/** Small charts of the last ten minutes, all on one time axis. */

import uPlot from "uplot";
import { byId, colour, lasted, make, say, short } from "./elements.js";

const MAX_POINTS = 300;
const WINDOW_SECONDS = 600;
/** Without figures for this long a line is interrupted instead of drawn across the gap. */
const GAP_SECONDS = 10;
const percent = (share) => (share === null ? "–" : `${(share * 100).toFixed(1)} %`);
const CHARTS = [
  { title: "Transitions committed", lines: [["transitions", "committed /s"], ["flaps", "flaps absorbed /s"]], format: short },
  { title: "Inbox messages", lines: [["inboxMessages", "sent /s"], ["saved", "publishes coalesced /s"]], format: short },
  { title: "Change to inbox", lines: [["latencyP50", "median"], ["latencyP99", "p99"]], format: lasted },
  { title: "Accuracy", lines: [["accuracy", "of flags are correct"]], format: percent, range: [0.9, 1] },
  { title: "Reconciled and failed", lines: [["repairs", "flags reconciled /s"], ["failed", "publishes failed /s"]], format: short },
];

export class Charts {
  #times = [];
  #figures = [];
  #charts = [];

  constructor() {
    const sync = uPlot.sync("console");
    this.#charts = CHARTS.map((chart) => new Chart(chart, sync));
    byId("charts").replaceChildren(...this.#charts.map(({ panel }) => panel));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#charts.forEach((chart) => chart.recolour()));
    new ResizeObserver(() => this.#charts.forEach((chart) => chart.resize())).observe(byId("charts"));
  }

  /** Figures from before this console opened, [milliseconds, figures] each. They replace what is shown. */
  past(rows) {
    this.#times = [];
    this.#figures = [];
    for (const [at, figures] of rows) this.#add(at / 1000, figures);
    if (rows.length) this.#draw();
  }

  show(ts, figures) {
    this.#add(new Date(ts) / 1000, figures);
    this.#draw();
  }

  #add(at, figures) {
    const last = this.#times.at(-1);
    if (last !== undefined && at <= last) return;
    if (at - last > GAP_SECONDS) {
      this.#times.push(last + 1);
      this.#figures.push({});
    }
    this.#times.push(at);
    this.#figures.push(figures);
    while (this.#times.length > MAX_POINTS || this.#times[0] < at - WINDOW_SECONDS) {
      this.#times.shift();
      this.#figures.shift();
    }
  }

  #draw() {
    for (const chart of this.#charts) chart.draw(this.#times, this.#figures);
  }
}

class Chart {
  constructor({ title, lines, format, range }, sync) {
    Object.assign(this, { title, lines, format, range });
    this.values = lines.map(() => make("b", { text: "–" }));
    this.place = make("div", { class: "plot", "aria-hidden": "true" });
    const now = lines.map(([, label], line) => make("span", {}, this.values[line], make("span", { class: "key", data: { line }, text: ` ${label}` })));
    this.panel = make("div", { class: "panel chart" }, make("h3", { text: title }), make("p", { class: "now" }, ...now), this.place);
    this.sync = sync;
  }

  draw(times, figures) {
    const columns = this.lines.map(([name]) => figures.map((one) => one[name] ?? null));
    this.data = [times, ...columns];
    this.values.forEach((element, line) => say(element, this.format(columns[line].at(-1) ?? null)));
    if (this.plot) this.plot.setData(this.data);
    else this.#build();
  }

  resize() {
    if (this.plot && this.place.clientWidth) this.plot.setSize({ width: this.place.clientWidth, height: 124 });
  }

  recolour() {
    this.plot?.destroy();
    this.plot = null;
    if (this.data) this.#build();
  }

  #build() {
    const [muted, line] = [colour("muted"), colour("line")];
    const axis = { stroke: muted, font: "11px system-ui", grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
    this.plot = new uPlot({
      width: this.place.clientWidth || 290,
      height: 124,
      cursor: { sync: { key: this.sync.key }, points: { size: 6 }, drag: { x: false, y: false } },
      scales: {
        x: { range: (_, low, high) => [Math.min(low ?? 0, (high ?? 0) - 60), high ?? 1] },
        y: { range: (_, low, high) => this.range ? [Math.min(this.range[0], low ?? 1), this.range[1]] : [0, (high || 1) * 1.15] },
      },
      axes: [
        { ...axis, size: 24, space: 70, values: (_, ticks) => ticks.map(clock) },
        { ...axis, size: 46, space: 32, values: (_, ticks) => ticks.map((tick) => this.format(tick)) },
      ],
      series: [{}, ...this.lines.map((_, index) => {
        const stroke = colour(index ? "two" : "one");
        return { stroke, width: 2, fill: index ? undefined : stroke.replace("rgb(", "rgba(").replace(")", ", 0.10)"), points: { show: false }, spanGaps: false };
      })],
    }, this.data, this.place);
  }
}
