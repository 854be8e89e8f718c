// The panels around the boards: progress, runs and rounds.

import { progress } from "./boards/progress.js";
import { fold, h, openFolds, reopen, table } from "./dom.js";
import * as f from "./format.js";

/** How many rounds a page of the list has. */
export const PAGE = 50;

function panel(section, { title, question, aside, body, more, about }) {
  const open = openFolds(section);
  section.hidden = false;
  section.replaceChildren(
    h("header", {}, h("div", {}, h("h2", {}, title), question ? h("p", { class: "question" }, question) : null), aside),
    ...[body].flat().filter(Boolean),
    ...(about ? [h("p", { class: "about" }, about)] : []),
    h("div", { class: "more" }, more ?? []));
  reopen(section, open);
}

const query = (text) => fold("Query", () => h("pre", { tabindex: "0" }, text), "query");

/** The night's rounds, one chart for the loop and metric that is picked. */
export function drawProgress(section, digest, picked, pick) {
  const lines = digest.loops.flatMap((loop) => loop.scores.filter((line) => line.best !== null).map((line) => ({ loop, line })));
  if (!lines.length) {
    section.hidden = true;
    return;
  }
  const key = ({ loop, line }) => JSON.stringify([loop.project, loop.client, line.metric]);
  const shown = lines.find((entry) => key(entry) === picked) ?? lines[0];
  const { loop, line } = shown;
  const alone = loop.scores.filter((other) => other.best !== null).length === 1;
  const rounds = digest.series.filter((round) => round.project === loop.project && round.client === loop.client &&
    (round.score === null ? alone : round.metric === line.metric));
  const chart = section.querySelector(".chart") ?? h("div", { class: "chart tall" });
  panel(section, {
    title: "Progress",
    question: `${line.metric ?? "Score"} of each round, in order; ${line.direction === "min" ? "lower" : "higher"} is better`,
    aside: lines.length > 1 ? h("div", { class: "tabs", role: "group", "aria-label": "Loop" }, lines.map((entry) =>
      h("button", { type: "button", "aria-pressed": String(entry === shown), onclick: () => pick(key(entry)) },
        lines.filter((other) => other.loop === entry.loop).length > 1 ? `${entry.loop.name} · ${entry.line.metric ?? "score"}` : entry.loop.name))) : null,
    body: chart,
    about: rounds.length < loop.rounds && alone ? `The latest ${f.count(rounds.length)} of ${f.count(loop.rounds)} rounds.` : null,
    more: [query(digest.queries.series)],
  });
  progress(chart, rounds, line);
}

const nothing = () => h("p", { class: "empty" }, "No runs here. A wider range is at the top of the page.");

const money = (row, known, of) => (row === null ? null : `${known < of ? "≥ " : ""}${f.usd(row)}`);

/** The list of runs; `choose(run_id)` shows one run's rounds (null: the night's). */
export function drawRuns(section, board, rows, chosen, choose) {
  const names = new Set(rows.map((row) => `${row.project}\n${row.client}`)).size > 1;
  const columns = [
    { name: "Started", plain: true, cell: (row) => h("button", { type: "button", class: "link", title: `run ${row.run}`,
      onclick: () => choose(row.run === chosen ? null : row.run) }, f.dayAndTime(f.moment(row.first_at))) },
    ...(names ? [{ name: "Loop", long: true, cell: (row) => (row.client === "internal" ? row.project : `${row.project} · ${row.client}`) }] : []),
    { name: "Rounds", number: true, cell: (row) => f.count(row.rounds) },
    { name: "Kept", number: true, cell: (row) => f.count(row.rounds_kept) },
    { name: "Best", number: true, cell: (row) => f.score(row.best) },
    { name: "Metric", long: true, cell: (row) => row.its_metric },
    { name: "Cost", number: true, cell: (row) => money(row.total_cost_usd, row.rounds_with_cost, row.rounds) },
    { name: "Took", number: true, cell: (row) => f.duration((f.moment(row.last_at) - f.moment(row.first_at)) / 1000) },
  ];
  panel(section, {
    title: "Runs", question: "Pick one to see its rounds",
    body: rows.length ? h("div", { class: "scroll capped", tabindex: "0", role: "region", "aria-label": "Runs" },
      table(columns, rows, { current: (row) => row.run === chosen })) : nothing(),
    about: rows.length === 100 ? "The latest 100 runs." : null,
    more: [query(board.text)],
  });
}

/** The list of rounds, a page at a time; a row more than a page says that there are older ones. */
export function drawRounds(section, board, rows, { state, skip, turn, clear }) {
  const some = rows.slice(0, PAGE);
  const dated = state.from || state.to;
  panel(section, {
    title: "Rounds",
    question: `${state.run ? `Of run ${state.run}` : dated ? "Of these dates" : "Of this night"}, newest first`,
    aside: state.run ? h("button", { type: "button", class: "quiet-button", onclick: clear }, "All rounds of the night") : null,
    body: [
      rows.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rounds" }, table(roundColumns(rows), some))
        : h("p", { class: "empty" }, "No rounds here. Pick a run above, or another night."),
      skip || rows.length > PAGE ? pager(skip, some.length, rows.length > PAGE, turn) : null,
    ],
    more: [query(board.text)],
  });
}

function pager(skip, shown, more, turn) {
  const button = (text, to, enabled) => h("button", { type: "button", class: "quiet-button", disabled: !enabled, onclick: () => turn(to) }, text);
  return h("nav", { class: "pager", "aria-label": "Pages of rounds" },
    button("Newest", 0, skip > 0), button("Newer", Math.max(0, skip - PAGE), skip > 0),
    h("span", {}, `${f.count(skip + 1)} to ${f.count(skip + shown)}`), button("Older", skip + PAGE, more));
}

function roundColumns(rows) {
  const status = (row) => {
    const kind = row.status === "reverted" && row.failure_mode && row.failure_mode !== "score_missed" ? "failed" : row.status;
    return h("span", { class: `pill ${kind}` }, row.status === "reverted" ? row.failure_mode ?? "reverted" : row.status);
  };
  const names = new Set(rows.map((row) => `${row.project}\n${row.client}`)).size > 1;
  const any = (name) => rows.some((row) => row[name] !== null);
  return [
    { name: "Started", plain: true, cell: (row) => f.dayAndTime(f.moment(row.started_at)) },
    { name: "Round", plain: true, cell: (row) => h("a", { class: "id", href: `/round/${encodeURIComponent(row.round_id)}`, title: row.round_id }, row.round_id.slice(-8)) },
    ...(names ? [{ name: "Loop", long: true, cell: (row) => (row.client === "internal" ? row.project : `${row.project} · ${row.client}`) }] : []),
    { name: "End", plain: true, cell: status },
    { name: "Score", number: true, cell: (row) => f.score(row.score) },
    { name: "Gain", number: true, cell: (row) => f.signed(row.delta) },
    ...(any("model") ? [{ name: "Model", long: true, cell: (row) => row.model }] : []),
    { name: "Cost", number: true, cell: (row) => money(row.cost_usd, row.cost_known, 1) },
    { name: "Took", number: true, cell: (row) => f.duration(row.duration_s) },
  ];
}
