// Runs before the first paint, so that a chosen theme does not flash. Without a choice, the
// system's preference decides in the style sheet.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("nightpane-theme"); } catch { /* storage may be closed */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
