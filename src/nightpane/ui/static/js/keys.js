// Keys of a page, and the dialog that lists them. A key that is being typed into a field is its own.

import { $, h } from "./dom.js";

const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]");

/** Have `keys` ({key, text, act}) work on this page; `?` and the button show them. */
export function listen(keys) {
  const all = [...keys, { key: "?", text: "these keys", act: () => dialog.showModal() }];
  const close = h("button", { type: "button", class: "quiet-button", onclick: () => dialog.close() }, "Close");
  const dialog = h("dialog", { class: "keys", "aria-labelledby": "keys-title" },
    h("h2", { id: "keys-title" }, "Keys"),
    h("dl", {}, all.flatMap(({ key, text }) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)])), close);
  document.body.append(dialog);
  $("keys-button").addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || dialog.open) return;
    const found = all.find((entry) => entry.key === event.key);
    if (!found) return;
    event.preventDefault();
    found.act();
  });
}

/** Let the arrow keys move through a list's main buttons or links. */
export function arrows(section, selector) {
  section.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.matches(selector)) return;
    const all = [...section.querySelectorAll(selector)];
    const next = all[all.indexOf(event.target) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}
