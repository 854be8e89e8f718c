// Lines, or stacked bars, over time: what `ActionsLineGraph` and `ActionsStackedBar` ask for.

import { axis, colourOf, draw, tip, tooltip } from "../charts.js";
import * as f from "../format.js";
import { marks } from "./annotations.js";
import { formatter, isTime, legend, place, seriesOf, zoom } from "./values.js";

const HALF_DAY = 43_200_000;
const MOST_LABELS = 9;

/** Draw a board's series over its x; `stacked` makes them bars on each other. */
export function overTime(element, board, rows, annotations, stacked) {
  const { lines, left } = seriesOf(board, rows);
  const time = isTime(board, rows);
  // A week stands in its middle, so that what was annotated on a day of it is beside its bar.
  const half = board.x === "week" ? 7 * HALF_DAY : 0;
  const at = (row) => (time ? place(row[board.x]) + half : String(row[board.x] ?? "(none)"));
  const steps = [...new Set(rows.map(at))].sort((a, b) => (time ? a - b : 0));
  if (time) steps.sort((a, b) => a - b);
  const span = time ? [Math.min(...steps) - half, Math.max(...steps) + half] : null;
  const room = half || HALF_DAY;
  const written = (value) => (time ? f.dayOf(new Date(value - half)) : value);
  const content = ({ data, seriesName }) => tip(seriesName, `${written(data.value[0])}: ${formatter(data.column ?? "")(data.value[1]) ?? "–"}`,
    ...(data.row ? alsoOf(board, data.row, data.column) : []));
  const label = lines.map((line) => `${line.name} ${lastOf(line)}`).join("; ");
  const show = formatter(lines[0]?.column ?? "");
  const counts = lines.every((line) => line.rows.every((row) => row[line.column] === null || Number.isInteger(row[line.column])));
  draw(element, `${board.name}: ${board.question} ${label}`, (c) => ({
    grid: { left: 8, right: 18, top: lines.length > 1 ? 38 : 18, bottom: time && steps.length > 20 ? 28 : 6, outerBoundsMode: "same" },
    legend: legend(c, lines.length > 1),
    tooltip: tooltip(c, content),
    xAxis: axis(c, time ? { type: "time", minInterval: 86_400_000, splitLine: { show: false },
      ...(stacked || steps.length < 2 ? { min: steps[0] - room, max: steps.at(-1) + room } : {}),
      axisLabel: { color: c.soft, fontSize: 12, hideOverlap: true, formatter: written,
        ...(steps.length <= MOST_LABELS ? { customValues: steps } : {}) } }
      : { type: "category", data: steps, splitLine: { show: false } }),
    yAxis: axis(c, { type: "value", scale: !stacked, splitNumber: 4, minInterval: counts ? 1 : 0, axisLabel: { color: c.soft, formatter: (v) => show(v) } }),
    dataZoom: time && steps.length > 1 ? zoom(c, steps.length > 20) : [],
    series: lines.map((line, i) => ({
      name: line.name, ...(stacked ? bar() : { type: "line", showSymbol: steps.length < 60, symbol: "circle", symbolSize: 6, connectNulls: true }),
      lineStyle: { width: 2, color: colourOf(c, line.name, i) },
      itemStyle: { color: colourOf(c, line.name, i), ...(stacked ? { borderColor: c.card, borderWidth: 0.5 } : {}) },
      data: (stacked ? whole(line.rows, steps, at) : line.rows.map((row) => [at(row), row])).map(([x, row]) => row
        ? { value: [x, row[line.column]], row, column: line.column }
        : { value: [x, 0], column: line.column }),
      markLine: i === 0 && time && board.annotated ? marks(c, annotations, span[0], span[1]) : undefined,
    })),
  }));
  return left ? `The ${lines.length} largest of ${lines.length + left} series; the table has all.` : null;
}

/** Return a series with a place for every step: bars stand on what is at the same place before them. */
function whole(rows, steps, at) {
  const found = new Map(rows.map((row) => [at(row), row]));
  return steps.map((x) => [x, found.get(x)]);
}

const bar = () => ({ type: "bar", stack: "all", barMaxWidth: 28, barMinHeight: 0 });
const lastOf = (line) => formatter(line.column)(line.rows.at(-1)[line.column]) ?? "unknown";

/** Return the row's other figures for the tooltip. */
function alsoOf(board, row, column) {
  return Object.keys(row).filter((name) => typeof row[name] === "number" && name !== column && name !== board.x).slice(0, 5)
    .map((name) => `${name.replaceAll("_", " ")} ${formatter(name)(row[name])}`);
}
