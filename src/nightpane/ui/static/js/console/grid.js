// The result as a table that only has the rows in view: half a million rows scroll as ten do.

import { h } from "../dom.js";

const ROW_PX = 29;
const SPARE = 12;
const WIDEST = 400;

const text = (value) => {
  const said = typeof value === "object" ? JSON.stringify(value) : String(value);
  return said.length > WIDEST ? `${said.slice(0, WIDEST)}…` : said;
};

/** Show columns and rows (lists of values) in an element that scrolls. */
export function showGrid(element, columns, rows) {
  const numbers = columns.map((_, i) => rows.slice(0, 50).some((row) => typeof row[i] === "number"));
  const body = h("tbody", {});
  const cells = (row) => row.map((value, i) => h("td", { class: numbers[i] ? "number" : null, title: value === null ? null : text(value) },
    value === null ? h("span", { class: "muted" }, "null") : text(value)));
  const gap = (count) => h("tr", { class: "gap", "aria-hidden": "true" }, h("td", { colspan: String(columns.length) }));
  let from = -1;
  const fill = () => {
    const shown = Math.ceil(element.clientHeight / ROW_PX) + 2 * SPARE;
    const first = Math.max(0, Math.min(Math.floor(element.scrollTop / ROW_PX) - SPARE, rows.length - shown));
    if (first === from) return;
    from = first;
    const above = gap();
    const below = gap();
    above.firstChild.style.height = `${first * ROW_PX}px`;
    below.firstChild.style.height = `${Math.max(0, rows.length - first - shown) * ROW_PX}px`;
    body.replaceChildren(above, ...rows.slice(first, first + shown).map((row, i) => h("tr", { "aria-rowindex": String(first + i + 2) }, cells(row))), below);
  };
  element.replaceChildren(h("table", { "aria-rowcount": String(rows.length + 1) },
    h("thead", {}, h("tr", { "aria-rowindex": "1" }, columns.map((name, i) => h("th", { scope: "col", class: numbers[i] ? "number" : null }, name)))), body));
  element.hidden = false;
  element.scrollTop = 0;
  element.onscroll = () => requestAnimationFrame(fill);
  fill();
}
