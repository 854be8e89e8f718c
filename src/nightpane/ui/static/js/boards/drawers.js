// Which drawer a board has: by what PostHog calls its display, and a special one where it needs it.

import { table } from "../dom.js";
import * as f from "../format.js";
import { bars } from "./bars.js";
import { funnel, funnelTable } from "./funnel.js";
import { heatmap } from "./heatmap.js";
import { overTime } from "./lines.js";
import { trend } from "./trend.js";
import { formatter, isTime, words } from "./values.js";

const MOST_LOOPS = 4;
const MOST_CELLS = 500;

/** Return what draws a board into an element: it returns what must be said below, or null. */
export function drawerOf(board, rows) {
  if (board.slug === "round-funnel") return drawFunnel;
  if (board.slug === "score-trend") return drawTrend;
  if (!board.y.length || !board.x || /Table/.test(board.display)) return null;
  if (/Heatmap/.test(board.display)) return (element) => heatmap(element, board, rows);
  const stacked = /Stacked/.test(board.display);
  const time = isTime(board, rows);
  if (time || /Line|Area/.test(board.display)) {
    return (element, _, annotations) => overTime(element, board, rows, annotations, stacked || /Bar/.test(board.display));
  }
  return (element) => bars(element, board, rows, stacked);
}

function drawFunnel(element, rows) {
  const loops = funnelTable(rows);
  funnel(element, loops.slice(0, MOST_LOOPS));
  const left = loops.length - MOST_LOOPS;
  return left > 0 ? `The ${MOST_LOOPS} busiest of ${loops.length} loops; the table has all.` : null;
}

function drawTrend(element, rows, annotations) {
  trend(element, rows, annotations);
  return "A larger point is a day with more rounds. Each metric has an axis of its own.";
}

/** Return a board's rows as a table. */
export function tableOf(board, rows) {
  if (board.slug === "round-funnel") return funnelRows(rows);
  const names = Object.keys(rows[0] ?? {});
  const columns = names.map((name) => {
    const number = rows.some((row) => typeof row[name] === "number");
    const show = formatter(name);
    return { name: words(name), number, long: !number, cell: (row) => cell(row[name], show) };
  });
  return table(columns, rows.slice(0, MOST_CELLS));
}

function cell(value, show) {
  if (value === null) return null;
  if (typeof value === "number") return show(value);
  if (/^\d{4}-\d\d-\d\d[ T]\d\d:/.test(String(value))) return f.dayAndTime(f.moment(value));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function funnelRows(rows) {
  const flat = funnelTable(rows).flatMap((entry) => entry.stages.map((stage) => ({ loop: entry.loop, ...stage })));
  return table([
    { name: "Loop", long: true, cell: (row) => row.loop },
    { name: "Stage", cell: (row) => row.stage },
    { name: "Rounds", number: true, cell: (row) => (row.rounds === null ? "not emitted" : f.count(row.rounds)) },
    { name: "Of all", number: true, cell: (row) => f.percent(row.share) },
    { name: "Of the stage before", number: true, cell: (row) => f.percent(row.step) },
  ], flat);
}
