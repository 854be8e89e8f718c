// The rounds of a night, in order.

import { axis, draw, tip, tooltip } from "../charts.js";
import * as f from "../format.js";

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
