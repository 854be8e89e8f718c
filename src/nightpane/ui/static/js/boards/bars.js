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
  const label = lines.map((line) => `${line.name}: ` + line.rows.slice(0, MOST_BARS).map((row) =>
    `${row[board.x] ?? "(none)"} ${formatter(line.column)(row[line.column]) ?? "unknown"}`).join(", ")).join("; ");
  const content = ({ data, seriesName }) => tip(`${several ? `${seriesName} · ` : ""}${names[data.value[1]]}`,
    `${words(data.column)} ${data.said ?? "unknown"}`, ...data.also);
  element.style.height = names.length * (several && !stacked ? 44 : 30) > 260 ? `${names.length * (several && !stacked ? 44 : 30) + 60}px` : "";
  draw(element, `${board.name}: ${board.question} ${label}`, (c) => ({
    grid: { left: 4, right: 76, top: several ? 38 : 8, bottom: 4, outerBoundsMode: "same" },
    legend: legend(c, several),
    tooltip: tooltip(c, content),
    xAxis: { type: "value", show: false, min: 0 },
    yAxis: axis(c, { type: "category", data: names, inverse: true, splitLine: { show: false },
      axisLabel: { color: c.ink, fontSize: 13, width: 150, overflow: "truncate" } }),
    series: lines.map((line, i) => ({
      name: line.name, type: "bar", stack: stacked ? "all" : undefined, barMaxWidth: 30, barCategoryGap: several ? "24%" : "34%",
      itemStyle: { borderRadius: stacked ? 0 : 5, color: colourOf(c, line.name, i) },
      label: { show: !stacked, position: "right", color: c.soft, fontSize: 12, distance: 7, formatter: ({ data }) => data.said ?? "unknown" },
      data: line.rows.filter((row) => names.includes(String(row[board.x] ?? "(none)"))).map((row) => ({
        value: [row[line.column] ?? 0, names.indexOf(String(row[board.x] ?? "(none)"))],
        column: line.column, said: formatter(line.column)(row[line.column]), also: others(row, line.column),
      })),
    })),
  }));
  const cut = sizes.size > names.length || left;
  return cut ? "The largest; the table has all." : null;
}

const others = (row, column) => Object.keys(row).filter((name) => typeof row[name] === "number" && name !== column)
  .slice(0, 5).map((name) => `${words(name)} ${formatter(name)(row[name])}`);
