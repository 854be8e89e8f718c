// What the page's address says, and the page's first questions: it loads this module by itself, so
// that their answers are under way while the other modules are read.

const KEYS = ["project", "client", "agent", "run", "range", "from", "to", "night"];
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC";

/** Return what the address says. */
export function state() {
  const given = new URLSearchParams(location.search);
  return Object.fromEntries(KEYS.map((key) => [key, given.get(key) ?? ""]));
}

/** Put a state in the address, as a step that the back button undoes. */
export function keep(state) {
  const kept = KEYS.filter((key) => state[key]).map((key) => [key, state[key]]);
  const search = new URLSearchParams(kept).toString();
  history.pushState(null, "", search ? `?${search}` : location.pathname);
}

/** Return a state as the parameters of a question, with this browser's zone. */
export const parameters = (state) =>
  new URLSearchParams(Object.entries({ ...state, tz: zone }).filter(([, value]) => value)).toString();

/** Where the digest and the definitions of the boards are, for a state. */
export const digest = (state) => `/pane/digest?${parameters(state)}`;
export const boards = (state) => `/pane/boards?${parameters(state)}`;
export const annotations = "/api/projects/@current/annotations/?limit=1000";

const early = new Map();
if (location.pathname === "/") {
  for (const path of [boards(state()), annotations, digest(state())]) {
    const asked = fetch(path, { credentials: "same-origin" });
    asked.catch(() => {}); // whoever takes it is told
    early.set(path, asked);
  }
}

/** Return the answer to a first question, once; undefined when it was not asked. */
export function taken(path) {
  const asked = early.get(path);
  early.delete(path);
  return asked;
}
