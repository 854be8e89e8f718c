// One node in full: its figures at once, its events' contents as soon as they are read.

import { fold, h } from "../dom.js";
import * as f from "../format.js";
import { diff, json, messages, parsed } from "./content.js";
import { isBad, offset, span } from "./figures.js";

const SOURCES = { passthrough: "stated by the caller", custom: "your own prices", manual: "PostHog's list", openrouter: "OpenRouter's list", litellm: "LiteLLM's list" };
const TOKENS = { input: "sent", output: "answered", cache_read: "read from the cache", cache_write: "written to the cache", reasoning: "reasoning" };
const SAID = [["$ai_instructions", "Instructions"], ["$ai_input", "Input"], ["$ai_input_state", "Input"],
  ["$ai_output_choices", "Output"], ["$ai_output", "Output"], ["$ai_output_state", "Output"]];
const TEXTS = [["plan", "Plan"], ["rationale", "Rationale"], ["args_json", "Arguments"], ["result_json", "Result"], ["value", "Value"],
  ["verdict", "Verdict"], ["issues", "Issues"], ["summary", "Summary"], ["reason", "Reason"], ["$ai_feedback_text", "Feedback"]];

const figures = (pairs) => h("dl", {}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
  .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

/** Return the tools that were offered to the model, a fold each. */
function tools(given) {
  const all = parsed(given);
  if (!Array.isArray(all)) return [json(all)];
  return all.map((tool, i) => fold(String(tool?.function?.name ?? tool?.name ?? `tool ${i + 1}`), () => json(tool), `tool-${i}`));
}

const section = (title, ...children) => [h("h3", {}, title), ...children];

/** Return what is known of a node without asking. */
function head(node, started) {
  const tokens = Object.entries(node.tokens ?? {}).map(([name, n]) => `${f.count(n)} ${TOKENS[name]}`).join(", ");
  const own = node.size && node.own_cost_usd !== undefined ? `${f.usd(node.total_cost_usd)}, of which its own ${f.usd(node.own_cost_usd)}` : f.usd(node.total_cost_usd);
  return [
    h("header", {}, h("h2", {}, node.name), node.status ? h("span", { class: `pill ${isBad(node) ? "failed" : node.status}` }, node.status) : null),
    node.error !== undefined ? h("p", { class: "wrong" }, node.error) : null,
    ...(node.notes ?? []).map((note) => h("p", { class: "wrong" }, note)),
    figures([
      ["Kind", node.kind], ["Event", node.event], ["Agent", node.agent], ["Model", node.model],
      ["Began", `${offset(node.start_ms)} · ${new Date(started + node.start_ms).toISOString().replace("T", " ").slice(0, 23)} UTC`],
      ["Took", node.duration_ms === undefined ? null : `${span(node.duration_ms)}${node.is_measured ? "" : " (from its parts)"}`],
      ["Cost", own], ["Told cost", node.told_cost_usd === undefined ? null : `${f.usd(node.told_cost_usd)} (repeats what calls cost)`],
      ["Tokens", tokens], ["All tokens", node.size && node.total_tokens ? f.count(node.total_tokens) : null], ["Id", node.id],
    ]),
  ];
}

function priced(about) {
  const source = about.$ai_cost_model_source;
  if (!source && about.$ai_total_cost_usd === undefined) return [];
  const parts = [["input", "$ai_input_cost_usd"], ["output", "$ai_output_cost_usd"], ["request", "$ai_request_cost_usd"], ["web search", "$ai_web_search_cost_usd"]]
    .filter(([, name]) => Number(about[name]) > 0).map(([name, key]) => `${name} ${f.usd(Number(about[key]))}`).join(", ");
  return section("Cost", figures([
    ["Total", about.$ai_total_cost_usd === undefined || about.$ai_total_cost_usd === null ? "not known" : f.usd(Number(about.$ai_total_cost_usd))],
    ["Parts", parts], ["Price from", source ? SOURCES[source] ?? String(source) : "not said"],
    ["Priced as", [about.$ai_model_cost_used, about.$ai_cost_model_provider].filter(Boolean).map(String).join(" · ")],
  ]));
}

/** Return the contents of one event: messages, tools, texts, diff, and all its properties. */
function event(told) {
  const about = told.properties ?? {};
  const found = [];
  const error = about.$ai_error ?? about.error ?? about.prior_error;
  if (error) found.push(...section("Error", json(error)));
  for (const name of ["diff", "patch"]) if (typeof about[name] === "string") found.push(...section("Proposal", diff(about[name])));
  for (const [name, title] of TEXTS) if (about[name] !== undefined && about[name] !== null && about[name] !== "") found.push(...section(title, json(about[name])));
  for (const [name, title] of SAID) if (about[name] !== undefined && about[name] !== null) found.push(...section(title, messages(about[name])));
  if (about.$ai_tools) found.push(...section("Tools offered", ...tools(about.$ai_tools)));
  found.push(...priced(about));
  found.push(h("div", { class: "more" }, fold(`${told.event}: all properties`, () => json(about), told.id)));
  return found;
}

/** Draw a node; `read` promises its events. What comes after another node was chosen is dropped. */
export async function drawDetails(box, node, started, read) {
  box.dataset.node = node.id;
  const waiting = h("p", { class: "about", role: "status" }, node.uuids ? "Reading its events…" : "Nothing tells of it: its event has not arrived.");
  box.replaceChildren(...head(node, started).filter(Boolean), waiting);
  box.scrollTop = 0;
  if (!node.uuids) return;
  try {
    const events = await read();
    if (box.dataset.node === node.id) waiting.replaceWith(...events.flatMap(event));
  } catch (error) {
    if (box.dataset.node === node.id) waiting.textContent = error.message;
  }
}
