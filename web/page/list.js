/**
 * A long list of which only the rows in sight exist. Knows rows by id, scrolling and keys; what a row shows is the
 * owner's business: `draw(element, item)`.
 */

import { copy } from "./elements.js";

/** Pixels of a row, as in style.css. */
export const ROW = 64;
/** Rows that are made beyond those in sight. */
const BEYOND = 6;
const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity };

export class LongList {
  constructor(viewport, rows, draw, chosen) {
    this.viewport = viewport;
    this.rows = rows;
    this.draw = draw;
    this.items = [];
    this.places = new Map();
    this.made = new Map();
    this.active = null;
    viewport.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(viewport);
    rows.addEventListener("keydown", (event) => this.key(event));
    rows.addEventListener("focusin", (event) => this.focused(event));
    rows.addEventListener("click", (event) => {
      const row = event.target.closest(".row-place");
      if (row) chosen(row.dataset.id);
    });
  }

  /** Shows these items, each with an `id`, in this order. */
  show(items) {
    this.items = items;
    this.places = new Map(items.map((item, place) => [item.id, place]));
    this.rows.style.height = `${items.length * ROW}px`;
    this.render();
  }

  /** Draws once before the next frame, however often it is asked. */
  later() {
    this.frame ??= requestAnimationFrame(() => this.render());
  }

  render() {
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    const wanted = this.wanted();
    for (const [id, row] of this.made) if (!wanted.has(id)) this.drop(id, row);
    for (const [id, place] of wanted) this.place(id, place);
    this.reachable(wanted);
  }

  /** Places by id: of the rows in sight, and of the one that has the focus, wherever it is. */
  wanted() {
    const first = Math.max(0, Math.floor(this.viewport.scrollTop / ROW) - BEYOND);
    const last = Math.ceil((this.viewport.scrollTop + this.viewport.clientHeight) / ROW) + BEYOND;
    const found = new Map(this.items.slice(first, last).map((item, at) => [item.id, first + at]));
    const held = document.activeElement?.closest?.(".row-place")?.dataset.id;
    if (this.made.has(held) && this.places.has(held)) found.set(held, this.places.get(held));
    return found;
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
      row.style.transform = `translateY(${place * ROW}px)`;
      row.setAttribute("aria-posinset", place + 1);
    }
    if (row.ariaSetSize !== String(this.items.length)) row.setAttribute("aria-setsize", this.items.length);
    this.draw(row, this.items[place]);
  }

  drop(id, row) {
    row.remove();
    this.made.delete(id);
  }

  /** Exactly one row is reached by the Tab key: the last one that had the focus, or the first in sight. */
  reachable(wanted) {
    const first = [...wanted.entries()].sort(([, one], [, other]) => one - other).find(([, at]) => at * ROW >= this.viewport.scrollTop);
    const id = wanted.has(this.active) ? this.active : first?.[0];
    for (const [one, row] of this.made) row.firstElementChild.tabIndex = one === id ? 0 : -1;
  }

  focused(event) {
    this.active = event.target.closest(".row-place")?.dataset.id ?? null;
    this.later();
  }

  key(event) {
    const step = STEPS[event.key];
    const place = this.places.get(this.active);
    if (step === undefined || place === undefined) return;
    event.preventDefault();
    this.go(Math.min(Math.max(place + step, 0), this.items.length - 1));
  }

  /** Scrolls a place into sight and gives it the focus. */
  go(place) {
    const top = place * ROW;
    const { scrollTop, clientHeight } = this.viewport;
    if (top < scrollTop) this.viewport.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight) this.viewport.scrollTop = top + ROW - clientHeight;
    this.render();
    this.made.get(this.items[place].id)?.firstElementChild.focus({ preventScroll: true });
  }
}
