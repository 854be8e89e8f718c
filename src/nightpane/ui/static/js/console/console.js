// The HogQL console. The query is in the address' fragment, which no server sees.

import * as api from "../api.js";
import { $, h } from "../dom.js";
import { csv, save } from "../export.js";
import * as f from "../format.js";
import { listen } from "../keys.js";
import { themeButton } from "../theme-button.js";
import { completing } from "./completion.js";
import { showGrid } from "./grid.js";
import * as saved from "./saved.js";

const FIRST = "select event, count() as events\nfrom events\ngroup by event\norder by events desc";
const editor = $("editor");
let names = { tables: {}, functions: [], events: [], properties: [] };
let result = null;
let current = null; // the id of the saved query that is open
let running = null;

function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  current = Number(given.get("saved")) || null;
  return given.get("q");
}

function toAddress() {
  const kept = new URLSearchParams({ q: editor.value, ...(current ? { saved: current } : {}) });
  if (location.hash.slice(1) !== kept.toString()) history.pushState(null, "", `#${kept}`);
}

function set(text) {
  editor.value = text;
  number();
}

/** Number the lines, the one of the mistake marked. */
function number(bad = null) {
  const count = editor.value.split("\n").length;
  const line = (i) => (i + 1 === bad ? h("b", {}, String(i + 1)) : String(i + 1));
  $("gutter").replaceChildren(...Array.from({ length: count }, (_, i) => [line(i), "\n"]).flat());
  $("gutter").scrollTop = editor.scrollTop;
}

async function run() {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  toAddress();
  fail(null);
  $("status").textContent = "running …";
  $("run").setAttribute("aria-busy", "true");
  const started = performance.now();
  try {
    const answer = await api.query(editor.value, {}, { signal: mine.signal });
    show(answer, performance.now() - started);
  } catch (error) {
    if (error.name === "AbortError") return;
    $("status").textContent = "";
    fail(error);
  } finally {
    if (running === mine) $("run").removeAttribute("aria-busy");
  }
}

function show(answer, tookMs) {
  result = { columns: answer.columns, rows: answer.results, query: editor.value };
  const rows = `${f.count(answer.results.length)} row${answer.results.length === 1 ? "" : "s"}`;
  $("status").textContent = `${rows}${answer.hasMore ? ` (there are more: the limit is ${f.count(answer.limit)})` : ""} in ${Math.round(tookMs)} ms`;
  $("hint").hidden = true;
  showGrid($("result"), answer.columns, answer.results);
  $("csv").disabled = $("parquet").disabled = false;
}

function fail(error) {
  $("error").hidden = !error;
  $("error").textContent = error?.message ?? "";
  number(error?.at?.line ?? null);
  if (error?.at) {
    editor.focus();
    editor.setSelectionRange(error.at.start, Math.max(error.at.end, error.at.start + 1));
  }
}

const attempt = (act) => async (...given) => {
  try {
    await act(...given);
  } catch (error) {
    fail(error);
  }
};

const acts = {
  open: (entry) => {
    current = entry.id;
    set(entry.query.source.query);
    mark();
    return run();
  },
  rename: attempt(async (entry) => {
    const name = await saved.askName(entry.name ?? "");
    if (!name) return;
    await api.saved.change(entry.id, { name });
    await saved.refresh(current, acts);
  }),
  remove: attempt(async (entry) => {
    await api.saved.change(entry.id, { deleted: true });
    if (current === entry.id) current = null;
    toAddress();
    await saved.refresh(current, acts);
    mark();
  }),
};

const keep = attempt(async () => {
  if (!current) return keepNew();
  await api.saved.change(current, { query: api.node(editor.value) });
  toAddress();
  await saved.refresh(current, acts);
  $("status").textContent = "saved";
  return null;
});

const keepNew = attempt(async () => {
  const name = await saved.askName("");
  if (!name) return;
  current = (await api.saved.create(name, editor.value)).id;
  toAddress();
  await saved.refresh(current, acts);
  mark();
  $("status").textContent = "saved";
});

function mark() {
  saved.draw(current, acts);
  $("save-as").hidden = !current;
}

function listenToEditor() {
  const { close } = completing(editor, $("completions"), () => names);
  for (const kind of ["input", "changed"]) editor.addEventListener(kind, () => number());
  editor.addEventListener("scroll", () => { $("gutter").scrollTop = editor.scrollTop; });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      close();
      run();
    }
  });
}

$("run").addEventListener("click", run);
$("save").addEventListener("click", keep);
$("save-as").addEventListener("click", keepNew);
$("name-cancel").addEventListener("click", () => $("name-dialog").close());
$("csv").addEventListener("click", () => save("query.csv", csv(result.columns, result.rows), "text/csv"));
$("parquet").addEventListener("click", attempt(async () => save("query.parquet", await api.parquet(result.query))));
addEventListener("popstate", () => {
  set(fromAddress() ?? FIRST);
  mark();
  run();
});
themeButton(() => {});
listenToEditor();
listen([
  { key: "/", text: "to the editor", act: () => editor.focus() },
  { key: "Ctrl Enter", text: "runs the query (⌘ Enter on a Mac)", act: () => {} },
  { key: "Ctrl Space", text: "completes a name; Tab or Enter takes it", act: () => {} },
]);

const asked = fromAddress();
set(asked ?? FIRST);
await Promise.all([
  attempt(async () => { names = await api.names(); })(),
  attempt(async () => { await saved.refresh(current, acts); mark(); })(),
]);
if (asked) await run();
$("main").setAttribute("aria-busy", "false");
editor.focus();
