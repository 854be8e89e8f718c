// The charts, drawn by ECharts. Colours come from the style sheet, tooltips are elements and never
// HTML text. Each chart says in its label what it shows; the table beside it has the figures.

import * as echarts from "../vendor/echarts-6.1.0/echarts.esm.min.js";
import { h } from "./dom.js";
import * as f from "./format.js";

const drawn = new Map(); // element → { chart, option }
const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) drawn.get(target)?.chart.resize();
});

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: of("ink"), soft: of("soft"), faint: of("faint"), line: of("line"), card: of("card"),
    accent: of("accent"), good: of("good"), bad: of("bad"), point: of("point"),
    series: [1, 2, 3, 4, 5, 6].map((i) => of(`series-${i}`)),
    sans: of("sans"),
  };
}

/** Draw into an element; `option(colours)` makes the chart, again when the theme changes. */
export function draw(element, label, option) {
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", label);
  let entry = drawn.get(element);
  if (!entry) {
    entry = { chart: echarts.init(element, null, { renderer: "canvas" }) };
    drawn.set(element, entry);
    resized.observe(element);
  }
  entry.option = option;
  entry.chart.setOption(base(option), { notMerge: true });
}

/** Draw all charts again in the colours in force. */
export function redraw() {
  for (const [element, { chart, option }] of drawn) {
    if (element.isConnected) chart.setOption(base(option), { notMerge: true });
  }
}

/** Let go of charts whose element has left the page. */
export function sweep() {
  for (const [element, { chart }] of drawn) {
    if (element.isConnected) continue;
    resized.unobserve(element);
    chart.dispose();
    drawn.delete(element);
  }
}

function base(option) {
  const c = colours();
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return {
    animation: !still, animationDuration: 350, animationDurationUpdate: 250,
    textStyle: { fontFamily: c.sans, color: c.soft, fontSize: 12 },
    color: c.series,
    ...option(c),
  };
}

const axis = (c, more = {}) => ({
  axisLine: { show: false }, axisTick: { show: false },
  axisLabel: { color: c.soft, fontSize: 12, hideOverlap: true },
  splitLine: { lineStyle: { color: c.line } },
  nameTextStyle: { color: c.soft, fontSize: 12 },
  ...more,
});

const tooltip = (c, content, more = {}) => ({
  trigger: "item", confine: true, backgroundColor: c.card, borderColor: c.line, padding: [8, 11],
  textStyle: { color: c.ink, fontSize: 13 }, formatter: content, ...more,
});

const tip = (title, ...lines) =>
  h("div", { class: "tip" }, h("b", {}, title), lines.filter(Boolean).map((line) => h("div", {}, line)));

/** The rounds of a night: each score in order, the best so far as a step line. */
export function progress(element, rounds, { metric, direction, standing }) {
  const lower = direction === "min";
  const scored = rounds.filter((round) => round.score !== null);
  const before = standing ? standing.score : null;
  const range = plotRange([...scored.map((round) => round.score), ...(standing ? [before] : [])], lower);
  const clip = (value) => Math.min(Math.max(value, range.low), range.high);
  const points = { kept: [], reverted: [], open: [], unscored: [] };
  const best = standing ? [[0.5, clip(before)]] : [];
  let sofar = before;
  rounds.forEach((round, i) => {
    if (round.score === null) {
      points.unscored.push({ value: [i + 1, lower ? range.high : range.low], round });
      return;
    }
    points[round.status].push({
      value: [i + 1, clip(round.score)], round,
      symbol: clip(round.score) === round.score ? "circle" : "triangle",
      symbolRotate: round.score > range.high ? 0 : 180,
    });
    const better = round.status === "kept" || !rounds.some((other) => other.status === "kept");
    if (better && (sofar === null || (lower ? round.score < sofar : round.score > sofar))) sofar = round.score;
    if (sofar !== null) best.push([i + 1, clip(sofar)]);
  });
  if (best.length) best.push([rounds.length + 0.5, best.at(-1)[1]]);
  const label = `Scores of ${rounds.length} rounds in order, ${lower ? "lower" : "higher"} is better; ` +
    `best ${f.score(sofar) ?? "none"}.`;
  const content = ({ data }) => data.round && tip(
    `Round ${data.value[0]} · ${data.round.status}`,
    data.round.score === null ? "no score" : `${metric ?? "score"} ${f.score(data.round.score)}`,
    data.round.failure_mode, f.dayAndTime(f.moment(data.round.started_at)));
  draw(element, label, (c) => ({
    grid: { left: 8, right: 16, top: 38, bottom: 8, outerBoundsMode: "same" },
    legend: { top: 0, left: 0, type: "scroll", itemGap: 16, itemWidth: 11, itemHeight: 11, icon: "circle",
      textStyle: { color: c.soft, fontSize: 12 }, selectedMode: true },
    tooltip: tooltip(c, content),
    xAxis: axis(c, { type: "value", min: 0.5, max: rounds.length + 0.5, minInterval: 1, splitLine: { show: false },
      axisLabel: { color: c.soft, hideOverlap: true, formatter: (v) => (Number.isInteger(v) ? v : "") } }),
    yAxis: axis(c, { type: "value", min: range.low, max: range.high, scale: true,
      axisLabel: { color: c.soft, showMinLabel: false, showMaxLabel: false, formatter: (v) => f.score(v) } }),
    dataZoom: rounds.length > 60 ? [{ type: "inside", zoomOnMouseWheel: "ctrl" }] : [],
    series: [
      { name: "best so far", type: "line", step: "end", symbol: "none", data: best, z: 2,
        lineStyle: { color: c.accent, width: 2 }, itemStyle: { color: c.accent }, silent: true },
      cloud("kept", points.kept, { color: c.good }, 9, 4),
      cloud("reverted", points.reverted, { color: c.point }, 6, 3),
      cloud("open", points.open, { color: "transparent", borderColor: c.accent, borderWidth: 1.5 }, 8, 3),
      { ...cloud("no score", points.unscored, { color: c.bad }, 9, 3), symbol: CROSS },
    ].filter((series) => series.data.length),
  }));
}

const CROSS = "path://M0 2 2 0 6 4 10 0 12 2 8 6 12 10 10 12 6 8 2 12 0 10 4 6z";

function cloud(name, data, itemStyle, symbolSize, z) {
  return { name, type: "scatter", data, itemStyle, symbolSize, z, large: false };
}

/** Where scores are drawn: everything, except outliers on the worse side, which are cut at the edge. */
function plotRange(scores, lower) {
  if (!scores.length) return { low: 0, high: 1 };
  const sorted = [...scores].sort((a, b) => a - b);
  const at = (q) => sorted[Math.round(q * (sorted.length - 1))];
  const spread = at(0.75) - at(0.25) || at(1) - at(0);
  let [low, high] = [at(0), at(1)];
  if (lower) high = Math.min(high, at(0.75) + 4 * spread);
  else low = Math.max(low, at(0.25) - 4 * spread);
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return { low: low - room, high: high + room };
}

export const STAGES = ["started", "generated", "applied", "scored", "kept"];
const OPTIONAL = new Set(["started", "generated", "applied"]);

/** Rounds by stage and loop: `rows` of {loop, stage, rounds}. A missing optional stage is not emitted. */
export function funnelTable(rows) {
  const loops = new Map();
  for (const row of rows) {
    if (!loops.has(row.loop)) loops.set(row.loop, new Map());
    loops.get(row.loop).set(row.stage, row.rounds);
  }
  return [...loops].map(([loop, found]) => {
    const whole = Math.max(...found.values());
    let before = null;
    const stages = STAGES.map((stage) => {
      const rounds = found.get(stage) ?? (OPTIONAL.has(stage) ? null : 0);
      const share = rounds === null ? null : rounds / whole;
      const step = rounds === null || before === null || before === 0 ? null : rounds / before;
      if (rounds !== null) before = rounds;
      return { stage, rounds, share, step };
    });
    return { loop, whole, stages };
  }).sort((a, b) => b.whole - a.whole);
}

/** Bars for the funnel, one group a stage, one colour a loop. */
export function funnel(element, loops) {
  const several = loops.length > 1;
  const label = loops.map((entry) => `${entry.loop ?? "(none)"}: ` + entry.stages.map((s) =>
    `${s.stage} ${s.rounds === null ? "not emitted" : s.rounds}`).join(", ")).join("; ");
  const content = ({ data, seriesName }) => tip(
    `${several ? `${seriesName} · ` : ""}${data.stage.stage}`,
    data.stage.rounds === null ? "not emitted by this loop" : `${f.count(data.stage.rounds)} rounds`,
    data.stage.share === null ? null : `${f.percent(data.stage.share)} of all`,
    data.stage.step === null ? null : `${f.percent(data.stage.step)} of the stage before`);
  draw(element, `Rounds by stage. ${label}`, (c) => ({
    grid: { left: 4, right: 92, top: several ? 38 : 8, bottom: 4, outerBoundsMode: "same" },
    legend: several ? { top: 0, left: 0, itemWidth: 11, itemHeight: 11, icon: "circle", type: "scroll",
      textStyle: { color: c.soft, width: 150, overflow: "truncate" } } : undefined,
    tooltip: tooltip(c, content),
    xAxis: { type: "value", show: false, min: 0, max: several ? undefined : loops[0].whole },
    yAxis: axis(c, { type: "category", data: STAGES, inverse: true, splitLine: { show: false },
      axisLabel: { color: c.ink, fontSize: 13 } }),
    series: loops.map((entry) => ({
      name: entry.loop ?? "(none)", type: "bar", barCategoryGap: several ? "22%" : "34%", barMaxWidth: 40,
      showBackground: !several, backgroundStyle: { color: c.line, opacity: 0.45, borderRadius: 5 },
      itemStyle: { borderRadius: 5, color: colourOf(c, entry.loop) },
      label: { show: true, position: "right", color: c.soft, fontSize: several ? 11 : 12.5, distance: 7,
        formatter: ({ data }) => (data.stage.rounds === null ? "not emitted"
          : `${f.count(data.stage.rounds)} · ${f.percent(data.stage.share)}`) },
      data: entry.stages.map((stage) => ({ value: stage.rounds ?? 0, stage })),
    })),
  }));
}

/** Best score by day: `rows` of {day, project, metric, best, scored_rounds, rounds, direction}. */
export function trend(element, rows) {
  const days = [...new Set(rows.map(dayIn))].sort();
  const panels = [...groups(rows, (row) => `${row.metric ?? ""}\n${row.direction}`).values()]
    .sort((a, b) => b.length - a.length).slice(0, MOST_METRICS);
  const few = days.length < 15;
  const content = ({ data, seriesName }) => tip(
    `${seriesName} · ${data.row.metric ?? "score"}`,
    `${f.dayOf(new Date(`${data.value[0]}T12:00:00`))}: best ${f.score(data.row.best)}`,
    `${data.row.direction === "min" ? "lower" : "higher"} is better`,
    `${f.count(data.row.rounds)} rounds, ${f.count(data.row.scored_rounds)} scored`);
  const label = panels.flatMap((found) => [...groups(found, (row) => row.project)].map(([name, line]) =>
    `${name} ${found[0].metric ?? "score"}: ${f.score(line[0].best)} to ${f.score(line.at(-1).best)}`)).join("; ");
  element.style.height = panels.length < 2 ? "" : `${panels.length * 128 + 34}px`;
  const top = (i) => 34 + i * 128;
  const height = panels.length < 2 ? undefined : 76;
  draw(element, `Best score by day. ${label}`, (c) => ({
    title: panels.map((found, i) => ({
      text: titleOf(found), left: 2, top: top(i) - 30, padding: 0,
      textStyle: { color: c.ink, fontSize: 12.5, fontWeight: 600, width: element.clientWidth - 8, overflow: "truncate" } })),
    grid: panels.map((_, i) => ({ left: 52, right: 62, top: top(i), height, bottom: height ? undefined : 26 })),
    tooltip: tooltip(c, content),
    xAxis: panels.map((_, i) => axis(c, { gridIndex: i, type: "category", data: days, boundaryGap: few, splitLine: { show: false },
      axisLabel: { show: i === panels.length - 1, color: c.soft, hideOverlap: true, formatter: (v) => f.dayOf(new Date(`${v}T12:00:00`)) } })),
    yAxis: panels.map((_, i) => axis(c, { gridIndex: i, type: "value", scale: true, splitNumber: height ? 2 : 4,
      axisLabel: { color: c.soft, formatter: (v) => f.score(v) } })),
    series: panels.flatMap((found, i) => [...groups(found, (row) => row.project)].map(([name, line]) => ({
      name: name ?? "(none)", type: "line", xAxisIndex: i, yAxisIndex: i,
      data: line.map((row) => ({ value: [dayIn(row), row.best], row })),
      symbol: "circle", showSymbol: days.length < 60, lineStyle: { width: 2, color: colourOf(c, name) },
      symbolSize: (_, { data }) => Math.min(6 + Math.sqrt(data.row.rounds) * 0.5, 14),
      itemStyle: { color: colourOf(c, name), borderColor: c.card, borderWidth: 1.5 },
      endLabel: { show: true, color: c.ink, fontSize: 12, distance: 6, formatter: ({ value }) => f.score(value[1]) },
    }))),
  }));
}

const MOST_METRICS = 4;
const dayIn = (row) => String(row.day).slice(0, 10);

function groups(rows, key) {
  const found = new Map();
  for (const row of rows) {
    if (!found.has(key(row))) found.set(key(row), []);
    found.get(key(row)).push(row);
  }
  return found;
}

function titleOf(rows) {
  const names = [...new Set(rows.map((row) => row.project ?? "(none)"))];
  const text = `${names.slice(0, 3).join(", ")}${names.length > 3 ? " …" : ""} · ${rows[0].metric ?? "score"}, ` +
    `${rows[0].direction === "min" ? "lower" : "higher"} is better`;
  return text.length > 90 ? `${text.slice(0, 89)}…` : text;
}

let order = [];

/** Give each project the same colour in every chart: the colours follow this order. */
export function setProjects(names) {
  order = [...names].sort();
}

function colourOf(c, name) {
  if (!order.includes(name)) order.push(name); // a loop of a client: after the projects
  return c.series[order.indexOf(name) % c.series.length];
}
