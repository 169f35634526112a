/** A user's circle as a graph: the friends, which of them know each other, who is online. Colours are live. */

import cytoscape from "cytoscape";
import { byId, colour, make, say } from "./elements.js";

const MAX_FRIENDS = 100;
const REFRESH_MILLISECONDS = 4000;
/** With more friends, names are shown only under the pointer, or they would overlap. */
const MAX_NAMED = 40;

export class Ego {
  #api;
  #graph;
  #shown;
  #timer;

  /** `onChoose(user, friend)` is called when a friend is chosen. */
  constructor({ api, onChoose }) {
    this.#api = api;
    this.onChoose = onChoose;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#graph?.style(style()));
  }

  async show(user) {
    this.stop();
    this.#shown = await this.#api.ego(user, MAX_FRIENDS);
    this.#draw(this.#shown);
    this.#describe();
    this.#timer = setInterval(() => this.#refresh(), REFRESH_MILLISECONDS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#graph?.destroy();
    this.#graph = null;
  }

  #draw(ego) {
    const users = [{ ...ego, id: ego.user, centre: true }, ...ego.friends];
    const nodes = users.map((one) => ({ data: { id: one.id, name: one.name || one.id, presence: presence(one), centre: one.centre ? 1 : 0 } }));
    const edges = [...ego.friends.map((one) => [ego.user, one.id]), ...ego.edges].map(([source, target], index) => ({ data: { id: `e${index}`, source, target, own: source === ego.user ? 1 : 0 } }));
    this.#graph = cytoscape({
      container: byId("ego"),
      elements: { nodes, edges },
      style: style(),
      layout: layout(ego),
      minZoom: 0.3, maxZoom: 3, boxSelectionEnabled: false,
    });
    if (ego.friends.length <= MAX_NAMED) this.#graph.nodes().addClass("named");
    if (ego.edges.length > 4 * ego.friends.length) this.#graph.edges().addClass("dense");
    this.#graph.on("mouseover", "node", (event) => event.target.addClass("over").connectedEdges().addClass("over"));
    this.#graph.on("mouseout", "node", (event) => event.target.removeClass("over").connectedEdges().removeClass("over"));
    byId("circle").replaceChildren(...ego.friends.map((one) => make("option", { value: one.id, text: one.name })));
    this.#graph.on("tap", "node[centre = 0]", (event) => this.onChoose(ego.user, event.target.id()));
  }

  async #refresh() {
    if (document.hidden || byId("users").hidden || !this.#graph) return;
    try {
      const flags = await this.#api.egoFlags(this.#shown.user);
      const online = new Set(flags.friends);
      this.#shown.online = flags.online;
      for (const friend of this.#shown.friends) friend.online = online.has(friend.id);
    } catch {
      return; // the header shows that the service does not respond; the graph keeps its last colours
    }
    this.#graph?.batch(() => {
      for (const one of [{ ...this.#shown, id: this.#shown.user }, ...this.#shown.friends]) this.#graph.getElementById(one.id).data("presence", presence(one));
    });
    this.#describe();
  }

  #describe() {
    const { name, user, total, friends, edges } = this.#shown;
    const online = friends.filter((one) => one.online).length;
    const words = `${name || user} has ${total} ${total === 1 ? "friend" : "friends"}; of the ${friends.length} shown ${online} are online, with ${edges.length} friendships among them`;
    say(byId("ego-words"), words);
    byId("ego").setAttribute("aria-label", words);
  }
}

const presence = (one) => (one.online ? (one.invisible ? "hidden" : "online") : "offline");

/** A sparse circle gets a force layout; a dense one rings, with those who know most others inside. */
function layout(ego) {
  if (ego.edges.length <= 4 * ego.friends.length) {
    return { name: "cose", animate: false, nodeRepulsion: () => 9000, idealEdgeLength: () => 70, gravity: 0.6, numIter: 400, padding: 24 };
  }
  return {
    name: "concentric", padding: 24, minNodeSpacing: 14, animate: false,
    concentric: (node) => (node.data("centre") ? 1e6 : node.degree()),
    levelWidth: (nodes) => Math.max(1, (nodes.max((node) => (node.data("centre") ? 0 : node.degree())).value) / 5),
  };
}

function style() {
  const states = ["online", "hidden", "offline"].map((state) => ({ selector: `node[presence = "${state}"]`, style: { "background-color": colour(state) } }));
  return [
    { selector: "node", style: { width: 16, height: 16, "font-size": 8, color: colour("text"), "text-margin-y": -3, "text-outline-width": 2, "text-outline-color": colour("page"), "transition-property": "background-color", "transition-duration": 500 } },
    ...states,
    { selector: "node.named, node.over, node[centre = 1]", style: { label: "data(name)" } },
    { selector: "node.over", style: { "font-size": 13, "font-weight": 600, "z-index": 9 } },
    { selector: "node[centre = 1]", style: { width: 34, height: 34, "font-size": 13, "font-weight": 600, "border-width": 3, "border-color": colour("accent") } },
    { selector: "edge", style: { width: 1, "line-color": colour("muted"), opacity: 0.35, "curve-style": "haystack" } },
    { selector: "edge[own = 1]", style: { opacity: 0.12 } },
    { selector: "edge.dense", style: { opacity: 0.07 } },
    { selector: "edge.over", style: { opacity: 0.7, "line-color": colour("accent") } },
    { selector: "node:active", style: { "overlay-opacity": 0.1 } },
  ];
}
