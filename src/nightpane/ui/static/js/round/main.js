// The page of a round: reads the trace, draws it, keeps the chosen node in the address, and reads
// again when an event has arrived.

import { $, h } from "../dom.js";
import * as f from "../format.js";
import * as ask from "./ask.js";
import { drawDetails } from "./details.js";
import { cost, isBad, offset, span, ticks } from "./figures.js";
import { Rows } from "./rows.js";
import { drawSummary } from "./summary.js";
import { themeButton } from "../theme-button.js";
import { counts, logged, visible } from "./view.js";

const OPEN_MS = 1500;
const CLOSED_MS = 10_000;
const { id } = ask;
const state = { trace: null, folded: new Set(), group: null, search: "", tab: "tree", chosen: null, seen: 0 };
const read = new Map();
let rows = null;
let matches = null;

const chosenInAddress = () => {
  try { return decodeURIComponent(location.hash.slice(1)) || null; } catch { return null; }
};

function bar(node) {
  const { from_ms: from, until_ms: until } = state.trace;
  const whole = until - from || 1;
  const measured = node.duration_ms !== undefined;
  const kind = measured ? (node.is_measured || node.size === 0 ? "" : "guess") : "moment";
  const mark = h("i", { class: `${kind}${node.status === "running" || node.status === "unfinished" ? " going" : ""}`.trim() || null });
  mark.style.left = `${((node.start_ms - from) / whole) * 100}%`;
  if (measured) mark.style.width = `${Math.min(100, (node.duration_ms / whole) * 100)}%`;
  return h("span", { class: "track" }, mark);
}

function twist(node, index) {
  if (!node.size || matches) return h("span", { class: "twist", "aria-hidden": "true" });
  return h("span", { class: "twist", "aria-hidden": "true", onclick: (event) => { event.stopPropagation(); toggle(index); } },
    state.folded.has(node.id) ? "▶" : "▼");
}

function treeRow(index, place) {
  const node = state.trace.nodes[index];
  const indent = twist(node, index);
  indent.style.marginLeft = `${Math.min(node.depth, 14) * 14}px`;
  const badge = node.status && isBad(node) && node.kind !== "round" ? ` ${node.status}` : "";
  return h("div", {
    class: `row ${node.kind}${isBad(node) ? " bad" : ""}${matches && !matches.has(index) ? " aside" : ""}`,
    role: "treeitem", "aria-level": node.depth + 1, "aria-posinset": place + 1, "aria-setsize": rows.items.length,
    "aria-expanded": node.size ? String(!!matches || !state.folded.has(node.id)) : null,
  },
  h("span", { class: "what" }, indent, h("span", { class: "dot-kind", title: node.kind }),
    h("span", { class: "name" }, node.kind === "round" ? "round" : node.name), h("span", { class: "said" }, `${badge} ${node.error || node.text || ""}`)),
  h("span", { class: "figure-cell offset" }, offset(node.start_ms)), h("span", { class: "figure-cell" }, span(node.duration_ms)),
  h("span", { class: "figure-cell cost" }, f.usd(cost(node)) ?? ""), bar(node));
}

function logRow(index, place) {
  const node = state.trace.nodes[index];
  return h("div", { class: `row logged ${node.kind}${isBad(node) ? " bad" : ""}`, role: "option", "aria-posinset": place + 1, "aria-setsize": rows.items.length },
    h("span", { class: "figure-cell" }, offset(node.at_ms)), h("span", { class: "who" }, node.agent ?? ""),
    h("span", { class: "what" }, h("span", { class: "dot-kind", title: node.kind }), h("span", { class: "name" }, node.name),
      h("span", { class: "said" }, node.error || node.text || "")),
    h("span", { class: "figure-cell took" }, span(node.duration_ms)));
}

function drawAxis() {
  const { from_ms: from, until_ms: until } = state.trace;
  const track = h("span", { class: "track" }, ticks(from, until).map((at) => {
    const mark = h("span", {}, at === 0 ? "0" : `${at < 0 ? "−" : ""}${span(Math.abs(at))}`);
    mark.style.left = `${((at - from) / (until - from || 1)) * 100}%`;
    return mark;
  }));
  $("axis").hidden = state.tab === "log";
  $("axis").replaceChildren(h("span", {}, ""), h("span", { class: "figure-cell offset" }, "begins"), h("span", { class: "figure-cell" }, "takes"),
    h("span", { class: "figure-cell cost" }, "costs"), track);
}

function drawRows() {
  const { nodes } = state.trace;
  const isLog = state.tab === "log";
  const found = isLog ? { shown: logged(nodes, state), matches: null } : visible(nodes, state);
  matches = found.matches;
  rows.draw = isLog ? logRow : treeRow;
  rows.element.setAttribute("role", isLog ? "listbox" : "tree");
  rows.element.setAttribute("aria-label", isLog ? "Log of the round" : "Trace of the round");
  rows.show(found.shown, found.shown.findIndex((index) => nodes[index].id === state.chosen));
  const filtered = state.group || state.search.trim();
  const count = isLog ? found.shown.length : matches?.size ?? nodes.length;
  $("found").textContent = filtered ? `${f.count(count)} of ${f.count(nodes.length)} match` : "";
  $("fold").hidden = isLog || !!matches;
  $("fold").textContent = state.folded.size ? "Expand all" : "Collapse all";
}

function drawKinds() {
  $("kinds").replaceChildren(...counts(state.trace.nodes).map(([name, count]) =>
    h("button", { type: "button", "aria-pressed": String(state.group === name), onclick: () => {
      state.group = state.group === name ? null : name;
      drawKinds();
      drawRows();
    } }, `${name} ${f.count(count)}`)));
}

function toggle(index, fold) {
  const { nodes } = state.trace;
  const { id: key } = nodes[index];
  if (fold ?? !state.folded.has(key)) state.folded.add(key);
  else state.folded.delete(key);
  const at = state.trace.nodes.findIndex((node) => node.id === state.chosen);
  if (state.folded.has(key) && at > index && at <= index + nodes[index].size) choose(index);
  drawRows();
}

/** Choose a node: it is in the address, and its details are read. */
function choose(index) {
  const node = state.trace.nodes[index];
  const again = state.chosen === node.id;
  state.chosen = node.id;
  if (!again) history.replaceState(null, "", `#${encodeURIComponent(node.id)}`);
  details(node);
}

function details(node) {
  const started = Date.parse(state.trace.started_at);
  const key = (node.uuids ?? []).join();
  drawDetails($("details"), node, started, () => {
    if (!read.has(key)) {
      const asked = ask.contents(node.uuids.slice(0, 20), new Date(started + node.at_ms));
      asked.catch(() => read.delete(key));
      read.set(key, asked);
    }
    return read.get(key);
  });
}

/** Show the chosen node though it is folded away, and scroll to it. */
function reveal(key) {
  const { nodes } = state.trace;
  const index = nodes.findIndex((node) => node.id === key);
  if (index < 0) return false;
  for (let at = nodes[index].parent; at !== undefined; at = nodes[at].parent) state.folded.delete(nodes[at].id);
  state.chosen = key;
  drawRows();
  const place = rows.items.indexOf(index);
  if (place >= 0) rows.choose(place, true);
  details(nodes[index]);
  return true;
}

function keyInTree(key, index, place) {
  if (key === "Enter") {
    $("details").focus();
    if (innerWidth <= 1080) $("details").scrollIntoView();
    return true;
  }
  if (state.tab === "log" || index === undefined || matches) return false;
  const node = state.trace.nodes[index];
  if (key === "ArrowRight") {
    if (node.size && state.folded.has(node.id)) toggle(index, false);
    else if (node.size) rows.choose(place + 1);
    return true;
  }
  if (key === "ArrowLeft") {
    if (node.size && !state.folded.has(node.id)) toggle(index, true);
    else if (node.parent !== undefined) rows.choose(rows.items.indexOf(node.parent));
    return true;
  }
  return false;
}

function drawEmpty() {
  $("summary").replaceChildren(h("h1", { id: "title" }, "Round ", h("code", {}, id)));
  $("body").hidden = true;
  $("empty").hidden = false;
  $("empty").replaceChildren(h("h2", {}, "No event of this round is here yet"), h("div", { class: "empty" },
    h("p", {}, "This page shows it as soon as one arrives. If the round ran already: is its loop's key this server's, and is everything delivered?"),
    h("pre", {}, `nightpane spool\nnightpane trace ${id}\nnightpane trace last`)));
}

function live(text, kind) {
  $("live").dataset.state = kind;
  if ($("live-text").textContent !== text) $("live-text").textContent = text;
}

function draw(trace) {
  const first = state.trace === null;
  state.trace = trace;
  state.seen = trace.events;
  document.title = `${trace.round.status === "trace" ? "Trace" : "Round"} ${id.slice(-6)} · nightpane`;
  $("empty").hidden = true;
  $("body").hidden = false;
  rows ??= new Rows($("rows"), { height: 28, draw: treeRow, pick: choose, key: keyInTree });
  drawSummary($("summary"), trace);
  drawAxis();
  drawKinds();
  drawRows();
  if (first && !reveal(chosenInAddress())) reveal(trace.nodes[0].id);
  const open = trace.round.status === "open";
  live(open ? "running" : "up to date", open ? "running" : "idle");
}

async function load() {
  $("main").setAttribute("aria-busy", "true");
  try {
    draw(await ask.tree());
    if (state.trace.is_cut) state.seen = await ask.mark();
    $("notice").hidden = true;
  } catch (error) {
    if (error instanceof ask.Absent) {
      drawEmpty();
      live("waiting", "idle");
    } else throw error;
  } finally {
    $("main").setAttribute("aria-busy", "false");
  }
}

async function poll() {
  try {
    if (document.visibilityState === "visible" && (!state.trace || (await ask.mark()) !== state.seen)) {
      if (state.trace || (await ask.mark()) > 0) await load();
    }
    $("notice").hidden = true;
  } catch (error) {
    failed(error);
  } finally {
    const waits = !state.trace || state.trace.round.status === "open" || !$("notice").hidden;
    setTimeout(poll, waits ? OPEN_MS : CLOSED_MS);
  }
}

function failed(error) {
  live("no answer, trying again", "away");
  $("notice").textContent = error.message;
  $("notice").hidden = false;
}

function showTab(tab) {
  state.tab = tab;
  for (const name of ["tree", "log"]) {
    $(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
    $(`tab-${name}`).tabIndex = name === tab ? 0 : -1;
  }
  $("view").setAttribute("aria-labelledby", `tab-${tab}`);
  drawAxis();
  drawRows();
  if (rows.current >= 0) rows.reveal(rows.current);
}

for (const tab of ["tree", "log"]) {
  $(`tab-${tab}`).addEventListener("click", () => showTab(tab));
  $(`tab-${tab}`).addEventListener("keydown", ({ key }) => {
    if (key !== "ArrowLeft" && key !== "ArrowRight") return;
    const other = tab === "tree" ? "log" : "tree";
    showTab(other);
    $(`tab-${other}`).focus();
  });
}
$("search").addEventListener("input", ({ target }) => {
  state.search = target.value;
  drawRows();
});
$("fold").addEventListener("click", () => {
  const parts = state.trace.nodes.filter((node) => node.size && node.depth > 0).map((node) => node.id);
  state.folded = new Set(state.folded.size ? [] : parts);
  drawRows();
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, textarea, select")) return;
  event.preventDefault();
  $("search").focus();
});
addEventListener("hashchange", () => {
  const key = chosenInAddress();
  if (state.trace && key && key !== state.chosen) reveal(key);
});
themeButton(() => {});
load().catch(failed).then(() => setTimeout(poll, OPEN_MS));
