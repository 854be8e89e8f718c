// The page: keeps its state in the address, asks, draws, and asks again when something has arrived.

import * as api from "./api.js";
import * as charts from "./charts.js";
import { $, h } from "./dom.js";
import * as f from "./format.js";
import { drawNight } from "./night.js";
import { drawBoard, drawProgress, drawRounds, drawRuns, FIRST_ROUNDS, MORE_ROUNDS } from "./panels.js";

const POLL_MS = 2000;
const RUNNING_MS = 3 * 60_000;
const KEYS = ["project", "client", "range", "night", "run"];
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC";

const view = { digest: null, definitions: null, changes: null, rows: {}, picked: null, shown: FIRST_ROUNDS };
let state = fromAddress();
let loading = 0;
let mark = null;

function fromAddress() {
  const given = new URLSearchParams(location.search);
  return Object.fromEntries(KEYS.map((key) => [key, given.get(key) ?? ""]));
}

function go(change) {
  state = { ...state, ...change };
  view.shown = FIRST_ROUNDS;
  const kept = KEYS.filter((key) => state[key]).map((key) => [key, state[key]]);
  const search = new URLSearchParams(kept).toString();
  history.pushState(null, "", search ? `?${search}` : location.pathname);
  load();
}

const parameters = (more = {}) =>
  Object.fromEntries(Object.entries({ ...state, tz: zone, ...more }).filter(([, value]) => value));

/** Ask for everything the address names, and draw it; a newer call makes an older one's answer void. */
async function load() {
  const turn = ++loading;
  $("main").setAttribute("aria-busy", "true");
  try {
    view.changes ??= (await api.boards({})).changes;
    const before = await newestMark();
    const digest = await api.digest(parameters());
    if (turn !== loading) return;
    mark = before; // what arrives while this loads is a change still to be seen
    view.digest = digest;
    drawTop();
    const definitions = await api.boards(parameters({ night: digest.night.date }));
    const all = [...definitions.boards, ...definitions.lists];
    const rows = await Promise.all(all.map((board) => api.hogql(board)));
    if (turn !== loading) return;
    view.definitions = definitions;
    view.rows = Object.fromEntries(all.map((board, i) => [board.name, rows[i]]));
    drawBelow();
    say(null);
  } catch (error) {
    if (turn === loading) fail(error);
  } finally {
    if (turn === loading) $("main").setAttribute("aria-busy", "false");
  }
}

function drawTop() {
  drawNight($("night"), view.digest, (date) => go({ night: date ?? "", run: "" }));
  drawProgress($("progress"), view.digest, view.picked, (key) => {
    view.picked = key;
    drawTop();
  });
  charts.sweep();
  drawLive();
}

function drawBelow() {
  const { definitions, rows } = view;
  const list = (name) => definitions.lists.find((board) => board.name === name);
  const nothingYet = view.digest.newest_event === null;
  $("boards").hidden = nothingYet;
  charts.setProjects(new Set(rows.Loops.map((loop) => loop.project)));
  for (const board of definitions.boards) drawBoard($("boards"), board, rows[board.name]);
  drawRuns($("runs"), list("Runs"), rows.Runs, state.run, (run) => go({ run: run ?? "" }));
  drawRounds($("rounds"), list("Rounds"), rows.Rounds, {
    run: state.run, shown: view.shown,
    clear: () => go({ run: "" }),
    showMore: () => {
      view.shown += MORE_ROUNDS;
      drawBelow();
    },
  });
  $("runs").hidden = $("rounds").hidden = nothingYet;
  fillFilters(rows.Loops);
  charts.sweep();
}

function fillFilters(loops) {
  const form = $("filters");
  const fill = (name, values) => {
    const select = form.elements[name];
    const wanted = state[name] && !values.includes(state[name]) ? [state[name], ...values] : values;
    select.replaceChildren(h("option", { value: "" }, "All"), ...wanted.map((value) => h("option", { value }, value)));
    select.value = state[name];
  };
  const distinct = (name) => [...new Set(loops.map((loop) => loop[name]).filter((value) => value !== null))];
  fill("project", distinct("project"));
  const clients = distinct("client");
  fill("client", clients);
  $("client-filter").hidden = clients.length < 2 && !state.client;
  form.elements.range.value = state.range || "30d";
}

function drawLive(away = false) {
  const newest = f.moment(view.digest?.newest_event);
  const running = newest && Math.abs(Date.now() - newest) < RUNNING_MS;
  $("live").dataset.state = away ? "away" : running ? "running" : "idle";
  const text = away ? "no answer, trying again" : running ? "running" : "up to date";
  if ($("live-text").textContent !== text) $("live-text").textContent = text;
}

function say(text) {
  $("notice").textContent = text ?? "";
  $("notice").hidden = !text;
}

function fail(error) {
  if (error instanceof api.Away) drawLive(true);
  say(error.message);
  if (!(error instanceof api.Away || error instanceof api.Refused)) console.error(error);
}

const newestMark = async () => JSON.stringify(await api.hogql(view.changes));

/** Look whether anything has arrived; a hidden tab does not look. */
async function poll() {
  try {
    if (document.visibilityState === "visible" && view.definitions) {
      if ((await newestMark()) !== mark || !$("notice").hidden) await load();
      else drawLive();
    } else if (!view.definitions) {
      await load();
    }
  } catch (error) {
    fail(error);
  } finally {
    setTimeout(poll, POLL_MS);
  }
}

function themeButton() {
  const order = ["auto", "light", "dark"];
  const root = document.documentElement;
  const show = () => {
    const now = root.dataset.theme ?? "auto";
    $("theme").textContent = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" }[now];
  };
  $("theme").addEventListener("click", () => {
    const next = order[(order.indexOf(root.dataset.theme ?? "auto") + 1) % order.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try { localStorage.setItem("nightpane-theme", next); } catch { /* storage may be closed */ }
    show();
    charts.redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", charts.redraw);
  show();
}

$("filters").addEventListener("change", ({ target }) => {
  const change = { [target.name]: target.name === "range" && target.value === "30d" ? "" : target.value };
  go(target.name === "range" ? change : { ...change, run: "" });
});
$("filters").addEventListener("submit", (event) => event.preventDefault());
addEventListener("popstate", () => {
  state = fromAddress();
  load();
});
themeButton();
load().then(() => setTimeout(poll, POLL_MS));
