// The boards' panels: each asks for its rows when it comes near the view, and is drawn again only
// when its rows, its annotations or its definition have changed.

import * as api from "../api.js";
import * as charts from "../charts.js";
import { fold, h, openFolds, reopen } from "../dom.js";
import { csv, save, savePng } from "../export.js";
import { drawerOf, tableOf } from "./drawers.js";

const NEAR_PX = 500;
const panels = new Map(); // slug → { section, board, drawn, stale, turn }
let annotations = [];
let ready = Promise.resolve();
let failed = () => {};

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const panel = panels.get(target.dataset.slug);
    if (!panel || panel.section !== target) continue;
    if (isIntersecting) load(panel);
  }
}, { rootMargin: `${NEAR_PX}px 0px` });

/**
 * Show these boards with what has been annotated; boards near the view ask for their rows anew.
 * Nothing is drawn before `until` is done.
 */
export function show(container, boards, noted, until, onFail) {
  annotations = noted;
  ready = until;
  failed = onFail;
  for (const [slug, panel] of panels) {
    if (boards.some((board) => board.slug === slug)) continue;
    seen.unobserve(panel.section);
    panel.section.remove();
    panels.delete(slug);
  }
  for (const board of boards) {
    const panel = panels.get(board.slug) ?? added(container, board);
    panel.board = board;
    panel.stale = true;
  }
  const near = [...panels.values()].filter((panel) => isNear(panel.section));
  return Promise.all(near.map(load));
}

function added(container, board) {
  const panel = { section: empty(board), board, drawn: null, turn: 0 };
  panels.set(board.slug, panel);
  container.append(panel.section);
  seen.observe(panel.section);
  return panel;
}

function isNear(section) {
  const { top, bottom } = section.getBoundingClientRect();
  return top < innerHeight + NEAR_PX && bottom > -NEAR_PX;
}

function empty(board) {
  return h("section", { id: `board-${board.slug}`, class: "panel", "data-slug": board.slug, "aria-busy": "true", "aria-labelledby": `title-${board.slug}`, tabindex: "-1" },
    head(board, null), h("div", { class: "chart waiting" }));
}

const head = (board, aside) => h("header", {},
  h("div", {}, h("h2", { id: `title-${board.slug}` }, h("a", { href: `#board-${board.slug}`, class: "anchor" }, board.name)),
    h("p", { class: "question" }, board.question)), aside);

async function load(panel) {
  if (!panel.stale) return;
  panel.stale = false;
  const turn = ++panel.turn;
  panel.section.setAttribute("aria-busy", "true");
  try {
    const [answer] = await Promise.all([api.rows(panel.board), ready]);
    if (turn === panel.turn) draw(panel, answer);
  } catch (error) {
    if (turn !== panel.turn) return;
    panel.stale = true;
    failed(error);
  } finally {
    if (turn === panel.turn) panel.section.setAttribute("aria-busy", "false");
  }
}

function draw(panel, answer) {
  const { section, board } = panel;
  const now = JSON.stringify([answer, board.text, board.annotated ? annotations : null]);
  if (panel.drawn === now) return;
  panel.drawn = now;
  const { columns, rows, lists } = answer;
  const drawer = rows.length ? drawerOf(board, rows) : null;
  const chart = section.querySelector(".chart:not(.waiting)") ?? h("div", { class: "chart" });
  const open = openFolds(section);
  const table = () => h("div", { class: "scroll capped", tabindex: "0", role: "region", "aria-label": `${board.name}: table` }, tableOf(board, rows));
  const note = h("p", { class: "about" });
  section.replaceChildren(...[
    head(board, rows.length ? exports(board, columns, lists, drawer ? chart : null) : null),
    rows.length ? (drawer ? chart : table()) : h("p", { class: "empty" }, board.empty),
    note,
    h("div", { class: "more" },
      fold("About", () => h("p", { class: "about" }, board.description, board.source ? ` Source: ${board.source}.` : ""), "about"),
      drawer ? fold("Table", table, "table") : null,
      fold("Query", () => h("div", {}, h("pre", { tabindex: "0" }, board.text),
        h("p", {}, h("a", { href: `/console#q=${encodeURIComponent(board.text)}` }, "Open in the console"))), "query")),
  ].filter(Boolean));
  reopen(section, open);
  const said = drawer ? drawer(chart, rows, annotations) : null;
  note.textContent = said ?? "";
  note.hidden = !said;
  charts.sweep();
}

function exports(board, columns, lists, chart) {
  const picture = () => savePng(`${board.slug}.png`, { picture: charts.imageOf(chart), title: board.name, question: board.question });
  const button = (text, label, onclick) => h("button", { type: "button", class: "tiny-button", "aria-label": label, onclick }, text);
  return h("div", { class: "exports" },
    chart ? button("PNG", `${board.name} as PNG`, () => picture().catch(failed)) : null,
    button("CSV", `${board.name} as CSV`, () => save(`${board.slug}.csv`, csv(columns, lists), "text/csv")));
}
