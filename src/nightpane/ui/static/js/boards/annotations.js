// Annotations on a time axis: a vertical line each, with its text along it, whole in the tooltip.

import { tip } from "../charts.js";
import * as f from "../format.js";

const MOST_TEXTS = 8;
const LONGEST = 28;

const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/**
 * Return the annotations in a span of time, as the marks of a series; undefined for none.
 * `most` is how many letters of a text there is room for.
 */
export function marks(c, annotations, from, to, most = LONGEST) {
  const room = Math.max((to - from) * 0.02, 43_200_000);
  const seen = annotations.filter(({ at }) => at >= from - room && at <= to + room);
  if (!seen.length) return undefined;
  return {
    symbol: "none", z: 10, silent: false, animation: false,
    lineStyle: { color: c.faint, type: [4, 3], width: 1 },
    emphasis: { lineStyle: { width: 2 } },
    label: { show: most > 0 && seen.length <= MOST_TEXTS, position: "insideEndTop", color: c.ink, fontSize: 11, distance: 3,
      textBorderColor: c.card, textBorderWidth: 3, // read on what it stands over, hiding little of it
      formatter: ({ data }) => short(data.text, most) },
    tooltip: { formatter: ({ data }) => tip(f.dayAndTime(new Date(data.xAxis)), data.text) },
    data: seen.map(({ at, text }) => ({ xAxis: Math.min(Math.max(at, from), to), text })),
  };
}
