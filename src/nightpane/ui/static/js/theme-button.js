// The button that chooses the theme: the system's, light or dark; kept in this browser.

import { $ } from "./dom.js";

const TEXTS = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
const ORDER = Object.keys(TEXTS);

/** Bring the button to life; `changed` is called when the colours in force may be others. */
export function themeButton(changed) {
  const { dataset } = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    $("theme").textContent = TEXTS[dataset.choice];
    dataset.theme = dataset.choice !== "auto" ? dataset.choice : dark.matches ? "dark" : "light";
  };
  const choose = () => {
    dataset.choice = ORDER[(ORDER.indexOf(dataset.choice) + 1) % ORDER.length];
    try { localStorage.setItem("nightpane-theme", dataset.choice); } catch { /* storage may be closed */ }
    show();
    changed();
  };
  $("theme").addEventListener("click", choose);
  dark.addEventListener("change", () => {
    show();
    changed();
  });
  show();
}
