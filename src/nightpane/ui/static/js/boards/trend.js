// Best score by day: each metric has an axis of its own, each project its colour.

import { axis, colourOf, draw, tip, tooltip } from "../charts.js";
import * as f from "../format.js";
import { marks } from "./annotations.js";
import { groups, place, zoom } from "./values.js";

const MOST_METRICS = 4;
const EACH = 128;

/** Draw `rows` of {day, project, metric, best, scored_rounds, rounds, direction}. */
export function trend(element, rows, annotations) {
  const days = new Set(rows.map((row) => String(row.day).slice(0, 10)));
  const span = [Math.min(...rows.map((row) => place(row.day))), Math.max(...rows.map((row) => place(row.day)))];
  const panels = [...groups(rows, (row) => `${row.metric ?? ""}\n${row.direction}`).values()]
    .sort((a, b) => b.length - a.length).slice(0, MOST_METRICS);
  const content = ({ data, seriesName }) => tip(
    `${seriesName} · ${data.row.metric ?? "score"}`,
    `${f.dayOf(new Date(data.value[0]))}: best ${f.score(data.row.best)}`,
    `${data.row.direction === "min" ? "lower" : "higher"} is better`,
    `${f.count(data.row.rounds)} rounds, ${f.count(data.row.scored_rounds)} scored`);
  const label = panels.flatMap((found) => [...groups(found, (row) => row.project)].map(([name, line]) =>
    `${name} ${found[0].metric ?? "score"}: ${f.score(line[0].best)} to ${f.score(line.at(-1).best)}`)).join("; ");
  const much = days.size > 20;
  element.style.height = panels.length < 2 ? "" : `${panels.length * EACH + 34 + (much ? 24 : 0)}px`;
  const height = panels.length < 2 ? undefined : 76;
  const lone = days.size < 2 ? { min: span[0] - 43_200_000, max: span[1] + 43_200_000 } : {};
  draw(element, `Best score by day. ${label}`, (c) => ({
    title: panels.map((found, i) => ({
      text: titleOf(found), left: 2, top: 4 + i * EACH, padding: 0,
      textStyle: { color: c.ink, fontSize: 12.5, fontWeight: 600, width: element.clientWidth - 8, overflow: "truncate" } })),
    grid: panels.map((_, i) => ({ left: 52, right: 70, top: 34 + i * EACH, height, bottom: height ? undefined : much ? 48 : 26 })),
    tooltip: tooltip(c, content),
    xAxis: panels.map((_, i) => axis(c, { gridIndex: i, type: "time", minInterval: 86_400_000, splitLine: { show: false }, ...lone,
      axisLabel: { show: i === panels.length - 1, color: c.soft, hideOverlap: true, formatter: (v) => f.dayOf(new Date(v)) } })),
    yAxis: panels.map((_, i) => axis(c, { gridIndex: i, type: "value", scale: true, splitNumber: height ? 2 : 4,
      axisLabel: { color: c.soft, formatter: (v) => f.score(v) } })),
    dataZoom: days.size > 1 ? zoom(c, much, panels.map((_, i) => i)) : [],
    series: panels.flatMap((found, i) => [...groups(found, (row) => row.project)].map(([name, line], j) => ({
      name: name ?? "(none)", type: "line", xAxisIndex: i, yAxisIndex: i,
      data: line.map((row) => ({ value: [place(row.day), row.best], row })),
      symbol: "circle", showSymbol: days.size < 60, lineStyle: { width: 2, color: colourOf(c, name, j) },
      symbolSize: (_, { data }) => Math.min(6 + Math.sqrt(data.row.rounds) * 0.5, 14),
      itemStyle: { color: colourOf(c, name, j), borderColor: c.card, borderWidth: 1.5 },
      endLabel: { show: true, color: c.ink, fontSize: 12, distance: 6, formatter: ({ value }) => f.score(value[1]) },
      markLine: j === 0 ? marks(c, annotations, ...span, height ? 11 : undefined) : undefined,
    }))),
  }));
}

function titleOf(rows) {
  const names = [...new Set(rows.map((row) => row.project ?? "(none)"))];
  const text = `${names.slice(0, 3).join(", ")}${names.length > 3 ? " …" : ""} · ${rows[0].metric ?? "score"}, ` +
    `${rows[0].direction === "min" ? "lower" : "higher"} is better`;
  return text.length > 90 ? `${text.slice(0, 89)}…` : text;
}
