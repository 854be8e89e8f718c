// Saved queries: PostHog's insights that hold a HogQL query. Open, save, rename, delete.

import * as api from "../api.js";
import { $, h } from "../dom.js";

let all = [];

/** Ask for the list again and draw it; `acts` are what its buttons do. */
export async function refresh(current, acts) {
  all = await api.saved.list();
  draw(current, acts);
}

/** Draw the list, the open one marked. */
export function draw(current, acts) {
  const button = (text, entry, act) => h("button", { type: "button", class: "tiny-button", "aria-label": `${text} ${entry.name}`, onclick: () => act(entry) }, text);
  $("saved").replaceChildren(...(all.length ? all.map((entry) => h("li", { "aria-current": String(entry.id === current) },
    h("button", { type: "button", class: "open", title: entry.name ?? "", onclick: () => acts.open(entry) }, entry.name || "(no name)"),
    button("Rename", entry, acts.rename), button("Delete", entry, acts.remove)))
    : [h("li", { class: "none" }, "None yet. Save keeps the query for everyone who opens this server.")]));
}

/** Return the saved query of an id, undefined when there is none. */
export const find = (id) => all.find((entry) => entry.id === id);

/** Ask for a name in a dialog: the name, or null when it is closed. */
export function askName(before) {
  const dialog = $("name-dialog");
  $("name").value = before;
  return new Promise((done) => {
    dialog.returnValue = "";
    dialog.addEventListener("close", () => done(dialog.returnValue === "save" ? $("name").value.trim() || null : null), { once: true });
    dialog.showModal();
    $("name").select();
  });
}
