// The page: keeps its state in the address, asks, draws, and asks again when something has arrived.

import * as address from "./address.js";
import * as api from "./api.js";
import * as boards from "./boards/boards.js";
import * as charts from "./charts.js";
import { $ } from "./dom.js";
import * as filters from "./filters.js";
import * as f from "./format.js";
import { arrows, listen } from "./keys.js";
import { drawNight } from "./night.js";
import { drawProgress, drawRounds, drawRuns, PAGE } from "./panels.js";
import { themeButton } from "./theme-button.js";

const POLL_MS = 1500;
const RUNNING_MS = 3 * 60_000;

const view = { digest: null, definitions: null, rows: {}, picked: null, skip: 0, drawn: {} };
let state = address.state();
let loading = 0;
let mark = null;
let took = 0;

function go(change) {
  state = { ...state, ...change };
  view.skip = 0;
  address.keep(state);
  load();
}

/**
 * Ask for everything the address names, and draw each as it comes: the night and the boards in view,
 * then the lists at the page's end. A newer call makes an older one's void.
 */
async function load() {
  const turn = ++loading;
  const started = performance.now();
  const isOld = () => turn !== loading;
  $("main").setAttribute("aria-busy", "true");
  try {
    const asked = askForBoards(isOld);
    await Promise.all([loadNight(isOld, asked), asked.then((boards) => boards?.drawn)]);
    if (isOld()) return;
    await loadLists(isOld, (await asked).loops);
    if (isOld()) return;
    // What arrives while this loads is a change still to be seen.
    mark = view.digest.mark === view.definitions.mark ? view.digest.mark : null;
    say(null);
  } catch (error) {
    if (!isOld()) fail(error);
  } finally {
    if (!isOld()) {
      took = performance.now() - started;
      $("main").setAttribute("aria-busy", "false");
    }
  }
}

/** Draw the night; the boards' rows are asked for before that takes the browser's time. */
async function loadNight(isOld, asked) {
  const [digest] = await Promise.all([api.digest(state), charts.ready, asked]);
  if (isOld()) return;
  view.digest = digest;
  drawTop();
}

/** Ask for the boards' rows and for the loops; `drawn` of what it returns is done when all are drawn. */
async function askForBoards(isOld) {
  const [definitions, noted] = await Promise.all([api.boards(state), api.annotations()]);
  if (isOld()) return null;
  view.definitions = definitions;
  $("boards").hidden = definitions.is_empty;
  const loops = api.hogql(list("Loops")); // each project has its colour before anything is drawn
  const ready = Promise.all([charts.ready, loops.then((rows) => charts.setProjects(new Set(rows.map((row) => row.project))))]);
  const drawn = definitions.is_empty ? null : boards.show($("boards"), definitions.boards, noted, ready, fail);
  return { loops, drawn: Promise.all([ready, drawn]) };
}

const list = (name) => view.definitions.lists.find((board) => board.name === name);
const pageOfRounds = () => ({ ...list("Rounds"), values: { ...list("Rounds").values, size: PAGE + 1, skip: view.skip } });

async function loadLists(isOld, loops) {
  const asked = [list("Runs"), pageOfRounds(), view.definitions.agents];
  const [Loops, Runs, Rounds, agents] = await Promise.all([loops, ...asked.map(api.hogql)]);
  if (isOld()) return;
  view.rows = { Loops, Runs, Rounds };
  filters.fill($("filters"), state, { loops: Loops, agents: agents.map((row) => row.agent), runs: Runs });
  drawLists();
}

/** Draw something only when what it shows has changed. */
function once(name, shown, draw) {
  const now = JSON.stringify(shown);
  if (view.drawn[name] === now) return;
  view.drawn[name] = now;
  draw();
}

function drawTop() {
  const { digest, picked } = view;
  once("top", [digest, picked], () => {
    drawNight($("night"), digest, (date) => go({ night: date ?? "", run: "" }));
    drawProgress($("progress"), digest, picked, (key) => {
      view.picked = key;
      drawTop();
    });
    charts.sweep();
  });
  drawLive();
}

function drawLists() {
  const { rows, skip } = view;
  once("runs", [rows.Runs, state.run, list("Runs").text], () =>
    drawRuns($("runs"), list("Runs"), rows.Runs, state.run, (run) => go({ run: run ?? "" })));
  once("rounds", [rows.Rounds, state, skip, list("Rounds").text], () =>
    drawRounds($("rounds"), list("Rounds"), rows.Rounds, { state, skip, clear: () => go({ run: "" }), turn: turnPage }));
  $("runs").hidden = $("rounds").hidden = view.definitions.is_empty;
}

async function turnPage(skip) {
  view.skip = skip;
  try {
    view.rows.Rounds = await api.hogql(pageOfRounds());
    drawLists();
    $("rounds").scrollIntoView({ block: "start" });
    $("rounds").querySelector(".pager button:not([disabled])")?.focus({ preventScroll: true });
  } catch (error) {
    fail(error);
  }
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
  if (!(error instanceof api.Away || error instanceof api.Refused || error instanceof api.Mistake)) console.error(error);
}

/** Look whether anything has arrived; a hidden tab does not look, a busy server is asked less often. */
async function poll() {
  try {
    if (document.visibilityState === "visible" && view.digest && view.definitions) {
      if ((await api.mark()) !== mark || !$("notice").hidden) await load();
      else drawLive();
    } else if (!view.digest || !view.definitions) {
      await load();
    }
  } catch (error) {
    fail(error);
  } finally {
    setTimeout(poll, Math.max(POLL_MS, took));
  }
}

function listenToFilters() {
  const form = $("filters");
  form.addEventListener("change", ({ target }) => {
    filters.showDates(form);
    const change = filters.changed(target, state);
    if (change) go(change);
    else form.elements.from.focus();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  $("clear").addEventListener("click", () => go(filters.none));
  addEventListener("popstate", () => {
    const next = address.state();
    if (JSON.stringify(next) === JSON.stringify(state)) return; // only the anchor has changed
    state = next;
    view.skip = 0;
    load();
  });
}

filters.showState($("filters"), state);
listenToFilters();
themeButton(charts.redraw);
arrows($("runs"), "button.link");
arrows($("rounds"), "a.id");
listen([
  { key: "/", text: "to the filters", act: () => $("filters").elements.project.focus() },
  { key: "b", text: "to the boards", act: () => $("boards").querySelector("section")?.focus() },
  { key: "r", text: "to the runs", act: () => $("runs").querySelector("button.link")?.focus() },
  { key: "c", text: "to the console", act: () => { location.href = "/console"; } },
  { key: "↑ ↓", text: "through a list; Enter opens", act: () => {} },
]);
load().then(() => setTimeout(poll, POLL_MS));
