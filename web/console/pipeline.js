/** The pipeline as a picture: a box for each stage in two lanes, and dots that move faster the higher its rate. */

import { byId, draw, lasted, make, say, short } from "./elements.js";

const WIDTH_PIXELS = 267;
const HEIGHT_PIXELS = 112;
const GAP_PIXELS = 30;
const LANE_STAGES = 4;

export class Pipeline {
  #stages = [];

  constructor() {
    this.svg = byId("pipeline");
    this.table = byId("pipeline-table").tBodies[0];
  }

  show(stages) {
    if (!this.#stages.length) this.#build(stages);
    stages.forEach((stage, index) => this.#update(this.#stages[index], stage));
    const problems = stages.filter((stage) => stage.trouble).map((stage) => `${stage.name}: ${stage.trouble}`);
    this.svg.setAttribute("aria-label", `The pipeline in ${stages.length} stages. ${problems.join("; ") || "No problems."}`);
  }

  #build(stages) {
    this.#stages = stages.map((stage, index) => {
      const [x, y] = place(index);
      const parts = {
        pipe: index ? draw("path", { class: "pipe", d: pathTo(index) }) : null,
        flow: index ? draw("path", { class: "flow", d: pathTo(index) }) : null,
        rate: draw("tspan", {}), unit: draw("tspan", { class: "unit", dx: 6 }), facts: draw("text", { class: "facts", x: 14, y: 97 }),
        cells: [0, 1, 2].map(() => make("td")),
      };
      parts.box = draw("g", { class: "stage", transform: `translate(${x} ${y})`, data: { stage: stage.name } },
        draw("rect", { class: "box", width: WIDTH_PIXELS, height: HEIGHT_PIXELS, rx: 12 }),
        draw("text", { class: "number", x: WIDTH_PIXELS - 14, y: 23, "text-anchor": "end", text: stage.row }),
        draw("text", { class: "name", x: 14, y: 24, text: stage.name }),
        draw("text", { class: "does", x: 14, y: 41, text: stage.does }),
        draw("text", { class: "rate", x: 14, y: 74 }, parts.rate, parts.unit), parts.facts);
      this.table.append(make("tr", {}, make("th", { scope: "row", text: stage.name }), ...parts.cells));
      return parts;
    });
    const behind = this.#stages.flatMap(({ pipe, flow }) => (pipe ? [pipe, flow] : []));
    this.svg.replaceChildren(...behind, ...this.#stages.map(({ box }) => box));
  }

  #update(parts, stage) {
    say(parts.rate, short(stage.rate));
    say(parts.unit, `${stage.unit}/s`);
    const pending = stage.waiting === null ? "" : stage.waiting ? `${short(stage.waiting)} pending` : "nothing pending";
    const lag = stage.lag ? `${stage.waiting === null ? "p99 " : "oldest "}${lasted(stage.lag)}` : "";
    const late = stage.name === "commit" && stage.lag !== null ? (stage.lag < 0.1 ? "on time" : `late by ${lasted(stage.lag)}`) : "";
    say(parts.facts, stage.trouble ?? (late || [pending, lag].filter(Boolean).join(" · ")));
    parts.facts.setAttribute("class", stage.trouble ? "trouble" : "facts");
    parts.box.dataset.trouble = stage.trouble ? "yes" : "no";
    [`${short(stage.rate)} ${stage.unit} a second`, pending, stage.trouble ?? lag].forEach((text, index) => say(parts.cells[index], text));
    if (!parts.flow) return;
    const moving = stage.rate > 0;
    parts.flow.dataset.moving = moving ? "yes" : "no";
    // Ten times the rate is about twice the speed: enough to tell busy from calm.
    if (moving) parts.flow.style.setProperty("--pace", `${(2.2 / (1 + Math.log10(1 + stage.rate))).toFixed(2)}s`);
  }
}

function place(index) {
  return [(index % LANE_STAGES) * (WIDTH_PIXELS + GAP_PIXELS) + 1, Math.floor(index / LANE_STAGES) * (HEIGHT_PIXELS + 50) + 1];
}

function pathTo(index) {
  const [x, y] = place(index);
  if (index !== LANE_STAGES) return `M ${x - GAP_PIXELS} ${y + HEIGHT_PIXELS / 2} H ${x}`;
  const [lastX, lastY] = place(LANE_STAGES - 1);
  const [from, turn] = [lastX + WIDTH_PIXELS / 2, lastY + HEIGHT_PIXELS + 25];
  return `M ${from} ${lastY + HEIGHT_PIXELS} V ${turn - 10} q 0 10 -10 10 H ${x + WIDTH_PIXELS / 2 + 10} q -10 0 -10 10 V ${y}`;
}
