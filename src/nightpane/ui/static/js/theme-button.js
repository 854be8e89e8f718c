// The button that chooses the theme: the system's, light or dark; kept in this browser.

import { $ } from "./dom.js";

const ORDER = ["auto", "light", "dark"];

/** Bring the button to life; `changed` is called when the colours in force may be others. */
export function themeButton(changed) {
  const root = document.documentElement;
  const show = () => {
    const now = root.dataset.theme ?? "auto";
    $("theme").textContent = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" }[now];
  };
  $("theme").addEventListener("click", () => {
    const next = ORDER[(ORDER.indexOf(root.dataset.theme ?? "auto") + 1) % ORDER.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try { localStorage.setItem("nightpane-theme", next); } catch { /* storage may be closed */ }
    show();
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  show();
}
