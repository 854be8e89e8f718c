// Rounds by stage: a stage that a loop never emits is missing, not a loss.

import { axis, colourOf, draw, tip, tooltip } from "../charts.js";
import * as f from "../format.js";

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
      textStyle: { color: c.soft, width: 220, overflow: "truncate" } } : undefined,
    tooltip: tooltip(c, content),
    xAxis: { type: "value", show: false, min: 0, max: several ? undefined : loops[0].whole },
    yAxis: axis(c, { type: "category", data: STAGES, inverse: true, splitLine: { show: false },
      axisLabel: { color: c.ink, fontSize: 13 } }),
    series: loops.map((entry, i) => ({
      name: entry.loop ?? "(none)", type: "bar", barCategoryGap: several ? "22%" : "34%", barMaxWidth: 40,
      showBackground: !several, backgroundStyle: { color: c.line, opacity: 0.45, borderRadius: 5 },
      itemStyle: { borderRadius: 5, color: colourOf(c, entry.loop, i) },
      label: { show: true, position: "right", color: c.soft, fontSize: several ? 11 : 12.5, distance: 7,
        formatter: ({ data }) => (data.stage.rounds === null ? "not emitted"
          : `${f.count(data.stage.rounds)} · ${f.percent(data.stage.share)}`) },
      data: entry.stages.map((stage) => ({ value: stage.rounds ?? 0, stage })),
    })),
  }));
}
