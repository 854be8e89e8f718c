// Durations, offsets and costs as text.

export function span(ms) {
  if (ms === undefined || ms === null) return "";
  const short = (value) => String(Number(value.toPrecision(3)));
  if (ms < 1000) return `${short(ms)} ms`;
  if (ms < 120_000) return `${short(ms / 1000)} s`;
  if (ms < 7_200_000) return `${short(ms / 60_000)} min`;
  return `${short(ms / 3_600_000)} h`;
}

export function offset(ms) {
  const text = Math.abs(ms) < 1_000_000 ? `${(Math.abs(ms) / 1000).toFixed(2)} s` : span(Math.abs(ms));
  return `${ms < 0 ? "−" : "+"}${text}`;
}

/** Return the cost to show for a node: what it and its parts cost, else what it only repeats. */
export const cost = (node) => node.total_cost_usd ?? node.told_cost_usd ?? null;

export const isBad = (node) => ["failed", "reverted", "missed", "worse", "unfinished"].includes(node.status);

/** Return round figures for the axis: at most `most` of them. */
export function ticks(from, until, most = 5) {
  const whole = until - from || 1;
  const rough = whole / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= until; at += step) found.push(at);
  return found;
}
