// Horizontal bars, one for each value of x: what `ActionsBar` and `ActionsBarValue` ask for.

import { axis, colourOf, draw, tip, tooltip } from "../charts.js";
import { formatter, legend, seriesOf, words } from "./values.js";

const MOST_BARS = 16;

/** Draw a board's figures by x, grouped by series; a stacked board's on each other. */
export function bars(element, board, rows, asked) {
  const { lines, left } = seriesOf(board, rows);
  const stacked = asked && lines.length > 1;
  const sizes = new Map();
  for (const line of lines) {
    for (const row of line.rows) {
      const name = String(row[board.x] ?? "(none)");
      sizes.set(name, (sizes.get(name) ?? 0) + Math.abs(Number(row[line.column]) || 0));
    }
  }
  const names = [...sizes].sort((a, b) => b[1] - a[1]).map(([name]) => name).slice(0, MOST_BARS);
  const several = lines.length > 1;
  const bounded = rows.some((row) => typeof row.low_rate === "number");
  const label = lines.map((line) => `${line.name}: ` + line.rows.slice(0, MOST_BARS).map((row) =>
    `${row[board.x] ?? "(none)"} ${formatter(line.column)(row[line.column]) ?? "unknown"}`).join(", ")).join("; ");
  const content = ({ data, seriesName }) => tip(`${several ? `${seriesName} · ` : ""}${names[data.value[1]]}`,
    `${words(data.column)} ${data.said ?? "unknown"}`, ...data.also);
  element.style.height = names.length * (several && !stacked ? 44 : 30) > 260 ? `${names.length * (several && !stacked ? 44 : 30) + 60}px` : "";
  draw(element, `${board.name}: ${board.question} ${label}`, (c) => ({
    grid: { left: 4, right: bounded ? 190 : 76, top: several ? 38 : 8, bottom: 4, outerBoundsMode: "same" },
    legend: legend(c, several),
    tooltip: tooltip(c, content),
    xAxis: { type: "value", show: false, min: 0, max: bounded ? Math.max(...rows.map((row) => row.high_rate ?? 0)) : undefined },
    yAxis: axis(c, { type: "category", data: names, inverse: true, splitLine: { show: false },
      axisLabel: { color: c.ink, fontSize: 13, width: 150, ...(bounded ? { overflow: "break", lineHeight: 16 } : { overflow: "truncate" }) } }),
    series: lines.map((line, i) => ({
      name: line.name, type: "bar", stack: stacked ? "all" : undefined, barMaxWidth: 30, barCategoryGap: several ? "24%" : "34%",
      itemStyle: { borderRadius: stacked ? 0 : 5, color: colourOf(c, line.name, i) },
      label: { show: !stacked && !bounded, position: "right", color: c.soft, fontSize: 12, distance: 7, formatter: ({ data }) => data.said ?? "unknown" },
      data: line.rows.filter((row) => names.includes(String(row[board.x] ?? "(none)"))).map((row) => ({
        value: [row[line.column] ?? 0, names.indexOf(String(row[board.x] ?? "(none)"))],
        column: line.column, said: formatter(line.column)(row[line.column]), also: others(row, line.column),
      })),
      markLine: bounded ? whiskers(c, board, line, names) : undefined,
    })),
  }));
  const cut = sizes.size > names.length || left;
  return [bounded ? saidOf(rows) : "", cut ? "The largest; the table has all." : ""].filter(Boolean).join(" ") || null;
}

/** Return each bar's interval as a line through its end, its figures after it. */
function whiskers(c, board, line, names) {
  const show = formatter(line.column);
  return {
    silent: true, animation: false, symbol: ["none", "none"], lineStyle: { color: c.ink, width: 2, type: "solid" },
    label: { show: true, position: "end", color: c.soft, fontSize: 12, lineHeight: 16, distance: 8, formatter: ({ data }) => data.said },
    data: line.rows.filter((row) => row.low_rate !== null && row.low_rate !== undefined).map((row) => {
      const at = names.indexOf(String(row[board.x] ?? "(none)"));
      const said = `${show(row[line.column])}, n = ${row.rounds}\n95 %: ${show(row.low_rate)} to ${show(row.high_rate)}`;
      return [{ coord: [row.low_rate, at], said }, { coord: [row.high_rate, at] }];
    }),
  };
}

function saidOf(rows) {
  if (rows.length !== 2) return "With only one of the two there is nothing to compare.";
  const [one, other] = rows;
  const overlap = one.low_rate <= other.high_rate && other.low_rate <= one.high_rate;
  return overlap ? "The 95 % intervals overlap: a coincidence explains the difference."
    : "The 95 % intervals are apart: more often than chance, which is not yet a cause.";
}

const others = (row, column) => Object.keys(row).filter((name) => typeof row[name] === "number" && name !== column)
  .slice(0, 5).map((name) => `${words(name)} ${formatter(name)(row[name])}`);
