// Runs before the first paint, so that no theme flashes: the chosen one, else the system's. The sheet
// goes by `data-theme`, the button by `data-choice`.
(() => {
  const root = document.documentElement;
  let choice = null;
  try { choice = localStorage.getItem("nightpane-theme"); } catch { /* storage may be closed */ }
  root.dataset.choice = choice === "light" || choice === "dark" ? choice : "auto";
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.dataset.theme = root.dataset.choice === "auto" ? system : root.dataset.choice;
})();
