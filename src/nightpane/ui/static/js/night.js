// Last night at a glance: the sentence, the key figures, and each loop's verdict with its evidence.

import { fold, h } from "./dom.js";
import * as f from "./format.js";

const WORDS = { plateau: "on a plateau", unclear: "unclear" };

/** Draw the night; `go(date)` moves to another one (null: the latest). */
export function drawNight(section, digest, go) {
  const several = digest.loops.length > 1;
  section.replaceChildren(...[
    bar(digest, go),
    h("h1", { id: "headline", class: "headline" }, digest.headline),
    digest.loops.length ? figures(digest) : null,
    digest.loops.length ? h("div", { class: "loops" },
      digest.loops.flatMap((loop) => loop.scores.map((line) => card(loop, line, several))),
      digest.quiet.map(quiet)) : empty(digest),
    h("div", { class: "more" }, queries(digest)),
  ].filter(Boolean));
}

function bar(digest, go) {
  const move = (days) => {
    const date = new Date(`${digest.night.date}T12:00:00Z`);
    date.setUTCDate(date.getUTCDate() + days);
    go(date.toISOString().slice(0, 10));
  };
  const newest = f.moment(digest.newest_event);
  const behind = newest && digest.loops.length && digest.night.is_latest
    ? ` · newest event ${f.dayAndTime(newest)}` : "";
  return h("div", { class: "night-bar" },
    h("button", { type: "button", class: "quiet-button", "aria-label": "the night before", onclick: () => move(-1) }, "‹"),
    h("span", {}, "Night of ", h("time", { datetime: digest.night.date }, digest.night.label), behind),
    h("button", { type: "button", class: "quiet-button", "aria-label": "the night after", disabled: digest.night.is_latest, onclick: () => move(1) }, "›"),
    digest.night.is_latest ? null
      : h("button", { type: "button", class: "quiet-button", onclick: () => go(null) }, "latest"));
}

function figure(name, value, note, tone, word) {
  const small = word || String(value).length > 9; // a word, or a figure that would wrap
  return h("div", { class: "figure" },
    h("dt", {}, name),
    h("dd", { class: `value${small ? " word" : ""}` }, value),
    note ? h("dd", { class: `note ${tone ?? ""}` }, note) : null);
}

function figures(digest) {
  const one = digest.loops.length === 1 ? digest.loops[0] : null;
  const before = digest.loops.reduce((sum, loop) => sum + (loop.before?.rounds ?? 0), 0);
  const rate = digest.rounds ? digest.kept / digest.rounds : null;
  const interval = one?.kept_rate_interval;
  const cost = digest.cost;
  const missing = cost.rounds - cost.rounds_known;
  return h("dl", { class: "figures" },
    figure("Rounds", f.count(digest.rounds), before ? `${f.count(before)} the night before` : null),
    figure("Kept", f.count(digest.kept), rate === null ? null
      : `${f.percent(rate)}${interval ? `, 95 % within ${Math.round(interval.low * 100)} to ${Math.round(interval.high * 100)} %` : ""}`),
    one ? best(one.scores[0]) : improving(digest),
    figure("Cost", cost.known_usd === null ? "unknown" : `${cost.complete ? "" : "≥\u00a0"}${f.usd(cost.known_usd)}`,
      cost.known_usd === null ? "no round says what it cost"
        : missing ? `unknown for ${f.count(missing)} of ${f.count(cost.rounds)} rounds` : null,
      null, cost.known_usd === null),
    figure("Cost per kept round", cost.per_kept_usd === null ? (digest.kept ? "unknown" : "none kept") : `${cost.complete ? "" : "≥\u00a0"}${f.usd(cost.per_kept_usd)}`,
      null, null, cost.per_kept_usd === null),
    stops(digest));
}

function best(line) {
  if (line.best === null) return figure("Best score", "none", "no round was scored", null, true);
  const name = line.metric ?? "score";
  const tone = line.change > 0 ? "up" : line.change < 0 ? "down" : null;
  return figure(`Best ${name}`, f.score(line.best), line.change_text, tone);
}

function improving(digest) {
  const lines = digest.loops.flatMap((loop) => loop.scores);
  const found = lines.filter((line) => line.progress.verdict === "improving").length;
  return figure("Improving", `${found} of ${lines.length}`, "loops, with the evidence below");
}

function stops(digest) {
  const times = new Map();
  for (const loop of digest.loops) {
    for (const { word, times: n } of loop.stop_reasons) times.set(word, (times.get(word) ?? 0) + n);
  }
  const sorted = [...times].sort((a, b) => b[1] - a[1]);
  const words = sorted.map(([word, n]) => (n > 1 ? `${word} × ${n}` : word));
  return figure("Stopped for", words.slice(0, 3).join(", ") || "not stopped",
    words.length > 3 ? `and ${words.slice(3).join(", ")}` : words.length ? null : "no stop was recorded", null, true);
}

function card(loop, line, several) {
  const verdict = line.progress.verdict;
  const name = loop.scores.length > 1 || several ? `${loop.name} · ${line.metric ?? "score"}` : loop.name;
  const modes = loop.failure_modes.slice(0, 5).map(({ word, times }) => `${word} ${f.count(times)}`).join(", ");
  const cost = loop.cost.per_kept_text === "no round kept" ? loop.cost.text : `${loop.cost.text}, ${loop.cost.per_kept_text} per kept round`;
  return h("article", { class: "loop" },
    h("h2", {}, h("span", {}, name), h("span", { class: `pill ${verdict.replaceAll(" ", "-")}` }, WORDS[verdict] ?? verdict)),
    h("p", {}, capital(line.progress.evidence), "."),
    several ? h("p", {}, h("strong", {}, `${f.count(loop.kept)} of ${f.count(loop.rounds)}`), " rounds kept",
      line.best === null ? ". " : [", best ", h("strong", {}, f.score(line.best)), `: ${line.change_text}. `],
      `Cost ${cost}.`) : null,
    line.best !== null && !line.best_kept ? h("p", {}, "The best score is of a round that was not kept.") : null,
    modes ? h("p", {}, `Reverted for: ${modes}.`) : null,
    loop.open ? h("p", {}, `${f.count(loop.open)} rounds have no end: still running, or broken off.`) : null);
}

function quiet(entry) {
  return h("article", { class: "loop" },
    h("h2", {}, h("span", {}, entry.project), h("span", { class: "pill" }, "silent")),
    h("p", {}, `${f.count(entry.rounds)} rounds the night before, none in this one.`));
}

function empty(digest) {
  if (digest.newest_event) return h("p", { class: "empty" }, "No round started in this night. “latest” leads to the newest one.");
  return h("div", { class: "empty" },
    h("p", {}, "This page fills by itself as soon as a round arrives. Three ways to get there:"),
    h("pre", {}, [
      "nightpane demo                 # a real research loop, for a minute",
      "nightpane import results.tsv   # a loop you already ran",
      'eval "$(nightpane env)"        # your own loop: these lines point it here',
    ].join("\n")));
}

function queries(digest) {
  return fold("Queries behind these figures", () => h("pre", { tabindex: "0" },
    Object.entries(digest.queries).map(([name, query]) => `-- ${name}\n${query}`).join("\n\n")), "night-queries");
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
