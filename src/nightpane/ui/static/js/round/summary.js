// The top of the page: which round it is, how it ended, what it cost, and the rounds beside it.

import { h } from "../dom.js";
import * as f from "../format.js";
import { span } from "./figures.js";

const COSTS = { round: "said at its end", proposals: "sum of its proposals", calls: "sum of its model calls" };

function figure(name, value, note) {
  return value === null || value === "" ? null
    : h("div", { class: "figure" }, h("dt", {}, name), h("dd", { class: "value" }, value), note ? h("dd", { class: "note" }, note) : null);
}

const link = (id, text, title) => (id ? h("a", { href: `/round/${encodeURIComponent(id)}`, title: title ?? id }, text) : null);

function costNote({ round, calls_cost_usd: calls }) {
  if (round.cost_source === null) return "no call is priced";
  const beside = round.cost_source !== "calls" && calls !== null ? `; calls ${f.usd(calls)}` : "";
  return COSTS[round.cost_source] + beside;
}

/** Draw what is known of the round as a whole. */
export function drawSummary(section, trace) {
  const { round, neighbours: beside } = trace;
  const root = trace.nodes[0];
  const kind = round.status === "trace" ? "Trace" : "Round";
  const better = round.delta === null ? null : `${f.signed(round.delta)} better`;
  const against = round.baseline_score === null ? null : `before ${f.score(round.baseline_score)}`;
  section.replaceChildren(...[
    h("h1", { id: "title" }, `${kind} `, h("code", {}, round.id), round.status === "trace" ? null : h("span", { class: `pill ${round.status}` }, round.status)),
    h("p", { class: "place" }, ...[
      round.project ? h("span", {}, [round.project, round.client].filter(Boolean).join(" · ")) : null,
      beside.number ? h("span", {}, "round ", `${beside.number} of ${beside.rounds} in `, h("a", { href: `/?run=${encodeURIComponent(round.run_id)}` }, "its run")) : null,
      h("span", {}, new Date(trace.started_at).toISOString().replace("T", " ").slice(0, 19), " UTC"),
      link(beside.previous, "← previous round"), link(beside.next, "next round →"),
      beside.regressed_from ? h("span", {}, link(beside.regressed_from.round_id, "regressed from"), `: ${beside.regressed_from.why}`) : null,
    ].filter(Boolean)),
    h("dl", { class: "figures" }, ...[
      figure(round.metric ?? "Score", f.score(round.score) ?? "–", [better, against, round.direction === "min" ? "lower is better" : null].filter(Boolean).join(", ")),
      round.failure_mode ? figure("Reverted for", round.failure_mode.replaceAll("_", " "), round.reason) : null,
      figure("Cost", f.usd(round.cost_usd) ?? "not known", costNote(trace)),
      figure("Took", span(root.duration_ms) || "–", round.status === "open" ? "so far" : null),
      figure("Model calls", f.count(trace.calls), root.total_tokens ? `${f.count(root.total_tokens)} tokens` : null),
      figure("Events", f.count(trace.events), `${f.count(trace.nodes.length)} in the tree`),
    ].filter(Boolean)),
    trace.notes.length ? h("ul", { class: "notes" }, trace.notes.map((note) => h("li", {}, note))) : null,
  ].filter(Boolean));
}
