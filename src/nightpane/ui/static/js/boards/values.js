// What the drawers share: a column's name says its unit, and rows are split into series.

import * as f from "../format.js";

const MOST_SERIES = 8;

/** Return the formatter of a column's values; its name ends in the unit. */
export function formatter(column) {
  if (/_usd$|_usd_/.test(column)) return f.usd;
  if (/(share|rate|_percent|fraction)$/.test(column)) return (v) => (v === null ? null : `${Number((v * 100).toPrecision(3))} %`);
  if (/_ms$/.test(column)) return (v) => (v === null ? null : f.duration(v / 1000) ?? "0 s");
  if (/_s$/.test(column)) return f.duration;
  return (v) => (typeof v === "number" && Number.isInteger(v) ? f.count(v) : f.score(v));
}

/** Return a column's name in words: the unit is in the figures. */
export const words = (column) => {
  const text = column.replace(/_(usd|ms|s)$/, "").replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
};

const DATE = /^\d{4}-\d\d-\d\d/;

/** Tell whether a board's horizontal axis is time: every value of `x` is a date. */
export const isTime = (board, rows) => rows.length > 0 && Boolean(board.x) && rows.every((row) => DATE.test(String(row[board.x])));

/** Read a day (in the reader's zone) or a time as a number ECharts places. */
export function place(value) {
  const text = String(value);
  if (text.length > 10 && !/[ T]00:00:00(\.0+)?$/.test(text)) return f.moment(text).getTime();
  return new Date(`${text.slice(0, 10)}T00:00:00`).getTime();
}

export function groups(rows, key) {
  const found = new Map();
  for (const row of rows) {
    const name = key(row);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(row);
  }
  return found;
}

/** Return the lines of a board, the largest first: `{name, column, rows}`, and how many are left out. */
export function seriesOf(board, rows) {
  const found = [];
  const split = board.series ? groups(rows, (row) => row[board.series]) : new Map([[null, rows]]);
  for (const [name, own] of split) {
    for (const column of board.y) {
      if (own.every((row) => row[column] === null)) continue;
      const several = board.y.length > 1;
      const text = board.series ? `${name ?? "(none)"}${several ? ` · ${words(column)}` : ""}` : words(column);
      const size = own.reduce((sum, row) => sum + Math.abs(Number(row[column]) || 0), 0);
      found.push({ name: text, column, rows: own, size });
    }
  }
  const sorted = found.sort((a, b) => b.size - a.size);
  return { lines: sorted.slice(0, MOST_SERIES), left: Math.max(0, sorted.length - MOST_SERIES) };
}

/** Return a legend above the chart, none for a single series. */
export const legend = (c, several) => (several ? { top: 0, left: 0, itemWidth: 11, itemHeight: 11, icon: "circle",
  type: "scroll", pageIconColor: c.soft, pageIconInactiveColor: c.line, pageTextStyle: { color: c.soft },
  textStyle: { color: c.soft, width: 220, overflow: "truncate" } } : undefined);

/** Return what lets a time axis be zoomed: a pinch or ctrl-wheel, and a slider where there is much. */
export const zoom = (c, much, axes = [0]) => [
  { type: "inside", xAxisIndex: axes, zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false },
  ...(much ? [{ type: "slider", xAxisIndex: axes, height: 16, bottom: 4, brushSelect: false, showDetail: false,
    borderColor: c.line, fillerColor: c.accentSoft, handleStyle: { color: c.card, borderColor: c.point },
    moveHandleSize: 0, dataBackground: { lineStyle: { color: c.line }, areaStyle: { color: c.line } },
    selectedDataBackground: { lineStyle: { color: c.point }, areaStyle: { color: c.line } } }] : []),
];
