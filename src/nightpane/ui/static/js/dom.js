// Building elements. Text only ever becomes a text node: nothing from the data is read as HTML.

/** Return an element: attributes (or `on…` listeners) first, then children; null ones are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Return the element with an id. */
export const $ = (id) => document.getElementById(id);

/** Return a folded part of a panel; `fill` makes its content when it is first opened. */
export function fold(title, fill, key) {
  const details = h("details", { "data-key": key }, h("summary", {}, title));
  let filled = false;
  const open = () => {
    if (details.open && !filled) {
      filled = true;
      details.append(fill());
    }
  };
  details.addEventListener("toggle", open);
  return details;
}

/** Return the keys of the folds that are open in an element, to open them again after a redraw. */
export const openFolds = (element) =>
  [...element.querySelectorAll("details[open]")].map((details) => details.dataset.key);

/** Open the folds with these keys. */
export function reopen(element, keys) {
  for (const details of element.querySelectorAll("details")) {
    if (keys.includes(details.dataset.key)) details.open = true;
  }
}

/** Return a table: columns are `{name, number? | plain? | long?, cell(row)}`. */
export function table(columns, rows, { caption, current } = {}) {
  return h("table", {},
    caption ? h("caption", { class: "sr", hidden: true }, caption) : null,
    h("thead", {}, h("tr", {}, columns.map((column) =>
      h("th", { scope: "col", class: column.number ? "number" : null }, column.name)))),
    h("tbody", {}, rows.map((row) =>
      h("tr", { "aria-current": current && current(row) ? "true" : null }, columns.map((column) =>
        h("td", { class: column.number ? "number" : column.plain ? "plain" : column.long ? "name" : null },
          column.cell(row) ?? h("span", { class: "muted" }, "–")))))));
}
