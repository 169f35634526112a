/** Elements, and numbers and times as text. Text is always set as text: nothing from outside is parsed as markup. */

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** A new element: attributes (`text` and `data` among them), then its children. */
export function make(tag, attributes = {}, ...children) {
  return withContent(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function draw(tag, attributes = {}, ...children) {
  return withContent(document.createElementNS(SVG, tag), attributes, children);
}

function withContent(element, { text, data, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const [name, value] of Object.entries(data ?? {})) element.dataset[name] = value;
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

/** Sets a text only where it differs, so that nothing is painted in vain. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Replaces the rows of a table's body; without rows, one row with the text `empty`. */
export function fill(table, rows, empty) {
  const columns = table.tHead.rows[0].cells.length;
  const none = make("tr", {}, make("td", { class: "empty", colspan: columns, text: empty }));
  table.tBodies[0].replaceChildren(...(rows.length ? rows : [none]));
}

/** 1234567 as 1.23M, 12.34 as 12.3; a dash for an unknown number. */
export function short(number) {
  if (number === null || number === undefined) return "–";
  for (const [limit, by, unit] of [[1e9, 1e9, "G"], [1e6, 1e6, "M"], [1e4, 1e3, "k"]]) {
    if (number >= limit) return `${(number / by).toPrecision(3)}${unit}`;
  }
  if (number >= 100 || Number.isInteger(number)) return String(Math.round(number));
  return number >= 10 ? number.toFixed(1) : number.toFixed(number < 0.1 ? 2 : 1);
}

/** A duration in seconds with its unit; a dash for an unknown one. */
export function lasted(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** A moment: its time, and its day unless that is today. */
export function moment(iso) {
  if (!iso) return make("span", { text: "never" });
  const at = new Date(iso);
  const today = at.toDateString() === new Date().toDateString();
  const clock = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const text = today ? clock : `${at.toLocaleDateString([], { month: "short", day: "numeric" })} ${clock}`;
  return make("time", { datetime: iso, title: iso, text });
}

/** The duration from one moment to another, as text. */
export const between = (from, to) => lasted((new Date(to) - new Date(from)) / 1000);

/** The current value of a colour, by its name in the style sheet. */
export function colour(name) {
  const probe = make("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
