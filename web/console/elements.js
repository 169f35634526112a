/** Elements and words. Text is always text: nothing that came from outside is ever read as markup. */

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id, which is there. */
export const byId = (id) => document.getElementById(id);

/** A new element: attributes (`text` and `data` among them), then what it holds. */
export function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, { text, data, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const [name, value] of Object.entries(data ?? {})) element.dataset[name] = value;
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

/** Sets a text only where it differs, so that nothing is painted twice. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The rows of a table's body; with none, one that says so. */
export function fill(table, rows, empty) {
  const columns = table.tHead.rows[0].cells.length;
  const none = make("tr", {}, make("td", { class: "empty", colspan: columns, text: empty }));
  table.tBodies[0].replaceChildren(...(rows.length ? rows : [none]));
}

/** 1234567 as 1.23M, 12.34 as 12.3; a dash for what is not known. */
export function short(number) {
  if (number === null || number === undefined) return "–";
  for (const [limit, by, unit] of [[1e9, 1e9, "G"], [1e6, 1e6, "M"], [1e4, 1e3, "k"]]) {
    if (number >= limit) return `${(number / by).toPrecision(3)}${unit}`;
  }
  if (number >= 100 || Number.isInteger(number)) return String(Math.round(number));
  return number >= 10 ? number.toFixed(1) : number.toFixed(number < 0.1 ? 2 : 1);
}

/** Seconds as people say them; a dash for what is not known. */
export function lasted(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** A moment: its time, and its day where it is another one than today. */
export function moment(iso) {
  if (!iso) return make("span", { text: "never" });
  const at = new Date(iso);
  const today = at.toDateString() === new Date().toDateString();
  const clock = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const text = today ? clock : `${at.toLocaleDateString([], { month: "short", day: "numeric" })} ${clock}`;
  return make("time", { datetime: iso, title: iso, text });
}

/** Seconds from one moment to another, in words. */
export const between = (from, to) => lasted((new Date(to) - new Date(from)) / 1000);

/** A colour by its name in the style sheet, as it is now. */
export function colour(name) {
  const probe = make("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
