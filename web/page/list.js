/**
 * Virtual list: only the rows in sight exist. Handles rows by id, scrolling and keys; the owner draws a row with
 * `draw(element, item)`.
 */

import { copy } from "./elements.js";

/** As in style.css. */
export const ROW_PIXELS = 64;
/** Rows that exist beyond those in sight, on each side. */
const OVERSCAN_ROWS = 6;
const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity };

export class LongList {
  constructor({ viewport, rows, draw, onChoose }) {
    this.viewport = viewport;
    this.rows = rows;
    this.draw = draw;
    this.items = [];
    this.places = new Map();
    this.made = new Map();
    this.active = null;
    viewport.addEventListener("scroll", () => this.renderSoon(), { passive: true });
    new ResizeObserver(() => this.renderSoon()).observe(viewport);
    rows.addEventListener("keydown", (event) => this.onKey(event));
    rows.addEventListener("focusin", (event) => this.onFocus(event));
    rows.addEventListener("click", (event) => {
      const row = event.target.closest(".row-place");
      if (row) onChoose(row.dataset.id);
    });
  }

  /** Shows these items, each with an `id`, in this order. */
  show(items) {
    this.items = items;
    this.places = new Map(items.map((item, place) => [item.id, place]));
    this.rows.style.height = `${items.length * ROW_PIXELS}px`;
    this.render();
  }

  /** Renders once before the next frame, however often it is called. */
  renderSoon() {
    this.frame ??= requestAnimationFrame(() => this.render());
  }

  render() {
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    const wanted = this.wantedPlaces();
    for (const [id, row] of this.made) if (!wanted.has(id)) this.drop(id, row);
    for (const [id, place] of wanted) this.place(id, place);
    this.setTabStop(wanted);
  }

  /** Places by id: of the rows in sight, and of the one that has the focus, wherever it is. */
  wantedPlaces() {
    const first = Math.max(0, Math.floor(this.viewport.scrollTop / ROW_PIXELS) - OVERSCAN_ROWS);
    const last = Math.ceil((this.viewport.scrollTop + this.viewport.clientHeight) / ROW_PIXELS) + OVERSCAN_ROWS;
    const places = new Map(this.items.slice(first, last).map((item, at) => [item.id, first + at]));
    const focused = document.activeElement?.closest?.(".row-place")?.dataset.id;
    if (this.made.has(focused) && this.places.has(focused)) places.set(focused, this.places.get(focused));
    return places;
  }

  place(id, place) {
    let row = this.made.get(id);
    if (!row) {
      row = copy("row-template");
      row.dataset.id = id;
      this.made.set(id, row);
      this.rows.append(row);
    }
    if (row.dataset.place !== String(place)) {
      row.dataset.place = place;
      row.style.transform = `translateY(${place * ROW_PIXELS}px)`;
      row.setAttribute("aria-posinset", place + 1);
    }
    if (row.ariaSetSize !== String(this.items.length)) row.setAttribute("aria-setsize", this.items.length);
    this.draw(row, this.items[place]);
  }

  drop(id, row) {
    row.remove();
    this.made.delete(id);
  }

  /** Makes one row reachable by the Tab key (roving tabindex): the last one with the focus, or the first in sight. */
  setTabStop(wanted) {
    const first = [...wanted.entries()].sort(([, one], [, other]) => one - other).find(([, at]) => at * ROW_PIXELS >= this.viewport.scrollTop);
    const id = wanted.has(this.active) ? this.active : first?.[0];
    for (const [one, row] of this.made) row.firstElementChild.tabIndex = one === id ? 0 : -1;
  }

  onFocus(event) {
    this.active = event.target.closest(".row-place")?.dataset.id ?? null;
    this.renderSoon();
  }

  onKey(event) {
    const step = STEPS[event.key];
    const place = this.places.get(this.active);
    if (step === undefined || place === undefined) return;
    event.preventDefault();
    this.focusPlace(Math.min(Math.max(place + step, 0), this.items.length - 1));
  }

  /** Scrolls a place into sight and focuses it. */
  focusPlace(place) {
    const top = place * ROW_PIXELS;
    const { scrollTop, clientHeight } = this.viewport;
    if (top < scrollTop) this.viewport.scrollTop = top;
    else if (top + ROW_PIXELS > scrollTop + clientHeight) this.viewport.scrollTop = top + ROW_PIXELS - clientHeight;
    this.render();
    this.made.get(this.items[place].id)?.firstElementChild.focus({ preventScroll: true });
  }
}
