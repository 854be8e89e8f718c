// The button that changes the colours: the system's, light, dark.

/** Make a button change the theme. */
export function themeButton(button) {
  const order = ["auto", "light", "dark"];
  const root = document.documentElement;
  const now = () => root.dataset.theme ?? "auto";
  const show = () => { button.textContent = `Theme: ${{ auto: "system" }[now()] ?? now()}`; };
  button.addEventListener("click", () => {
    const next = order[(order.indexOf(now()) + 1) % order.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try { localStorage.setItem("nightpane-theme", next); } catch { /* storage may be closed */ }
    show();
  });
  show();
}
