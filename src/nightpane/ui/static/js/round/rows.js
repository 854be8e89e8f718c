// A list of any length in a scrolling element: only the rows in sight exist, and keys move in it.

import { h } from "../dom.js";

const AROUND = 12;

/** `draw(item, index)` returns a row's element; `pick(item, index)` is told what was chosen. */
export class Rows {
  constructor(element, { height, draw, pick, key }) {
    Object.assign(this, { element, height, draw, pick, key });
    this.items = [];
    this.current = -1;
    this.drawn = new Map();
    this.spacer = h("div", { class: "spacer", role: "presentation" });
    element.replaceChildren(this.spacer);
    element.addEventListener("scroll", () => this.paint(), { passive: true });
    element.addEventListener("keydown", (event) => this.pressed(event));
    new ResizeObserver(() => this.paint()).observe(element);
  }

  /** Show other items; `current` is the index of the chosen one, -1 for none. */
  show(items, current = -1) {
    this.items = items;
    this.current = current;
    this.spacer.style.height = `${items.length * this.height}px`;
    this.redraw();
  }

  redraw() {
    for (const row of this.drawn.values()) row.remove();
    this.drawn.clear();
    this.paint();
  }

  paint() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.height) - AROUND);
    const last = Math.min(this.items.length, Math.ceil((scrollTop + clientHeight) / this.height) + AROUND);
    for (const [index, row] of this.drawn) {
      if (index < first || index >= last) {
        row.remove();
        this.drawn.delete(index);
      }
    }
    for (let index = first; index < last; index++) if (!this.drawn.has(index)) this.add(index);
    const active = this.drawn.get(this.current);
    if (active) this.element.setAttribute("aria-activedescendant", active.id);
    else this.element.removeAttribute("aria-activedescendant");
  }

  add(index) {
    const row = this.draw(this.items[index], index);
    row.id = `row-${index}`;
    row.style.top = `${index * this.height}px`;
    row.setAttribute("aria-selected", String(index === this.current));
    row.addEventListener("click", () => this.choose(index));
    this.drawn.set(index, row);
    this.spacer.append(row);
  }

  choose(index, quiet = false) {
    if (index < 0 || index >= this.items.length) return;
    this.drawn.get(this.current)?.setAttribute("aria-selected", "false");
    this.current = index;
    this.drawn.get(index)?.setAttribute("aria-selected", "true");
    this.reveal(index);
    if (!quiet) this.pick(this.items[index], index);
  }

  reveal(index) {
    const top = index * this.height;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) this.element.scrollTop = top + this.height - clientHeight;
    this.paint();
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.height) - 1);
    const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      const to = this.current < 0 ? 0 : this.current + steps[event.key];
      this.choose(Math.min(this.items.length - 1, Math.max(0, to)));
    } else if (!this.key?.(event.key, this.items[this.current], this.current)) {
      return;
    }
    event.preventDefault();
  }
}
