// The panels below the night: progress, the two boards, runs and rounds.

import * as charts from "./charts.js";
import { fold, h, openFolds, reopen, table } from "./dom.js";
import * as f from "./format.js";

const PAGE = 20;
const MOST_PROJECTS = 4;

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

const asTable = (columns, rows) =>
  fold("Table", () => h("div", { class: "scroll capped", tabindex: "0" }, table(columns, rows)), "table");

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
  charts.progress(chart, rounds, line);
}

function boardSection(container, name) {
  const id = `board-${name.toLowerCase().replaceAll(" ", "-")}`;
  let section = document.getElementById(id);
  if (!section) {
    section = h("section", { id, class: "panel" });
    container.append(section);
  }
  return section;
}

const nothing = () => h("p", { class: "empty" }, "No rounds in this range. A wider one is at the top of the page.");

/** Draw one board from its definition and its query's rows. */
export function drawBoard(container, board, rows) {
  const section = boardSection(container, board.name);
  const chart = section.querySelector(".chart") ?? h("div", { class: "chart" });
  const drawers = { "Round Funnel": drawFunnel, "Score Trend": drawTrend };
  const { more, draw, about } = drawers[board.name](rows, chart);
  panel(section, {
    title: board.name, question: board.question, about: rows.length ? about : null,
    body: rows.length ? chart : nothing(), more: [...(rows.length ? more : []), query(board.text)],
  });
  if (rows.length) draw();
}

function drawFunnel(rows, chart) {
  const loops = charts.funnelTable(rows);
  const left = loops.length - MOST_PROJECTS;
  const flat = loops.flatMap((entry) => entry.stages.map((stage) => ({ loop: entry.loop, ...stage })));
  return {
    draw: () => charts.funnel(chart, loops.slice(0, MOST_PROJECTS)),
    about: left > 0 ? `The ${MOST_PROJECTS} busiest of ${loops.length} loops; the table has all.` : null,
    more: [asTable([
      { name: "Loop", long: true, cell: (row) => row.loop },
      { name: "Stage", cell: (row) => row.stage },
      { name: "Rounds", number: true, cell: (row) => (row.rounds === null ? "not emitted" : f.count(row.rounds)) },
      { name: "Of all", number: true, cell: (row) => f.percent(row.share) },
      { name: "Of the stage before", number: true, cell: (row) => f.percent(row.step) },
    ], flat)],
  };
}

function drawTrend(rows, chart) {
  return {
    draw: () => charts.trend(chart, rows),
    about: "A larger point is a day with more rounds. Each metric has an axis of its own.",
    more: [asTable([
      { name: "Day", plain: true, cell: (row) => String(row.day).slice(0, 10) },
      { name: "Project", long: true, cell: (row) => row.project },
      { name: "Metric", long: true, cell: (row) => row.metric ?? "score" },
      { name: "Best", number: true, cell: (row) => f.score(row.best) },
      { name: "Better is", cell: (row) => (row.direction === "min" ? "lower" : "higher") },
      { name: "Rounds", number: true, cell: (row) => f.count(row.rounds) },
      { name: "Scored", number: true, cell: (row) => f.count(row.scored_rounds) },
    ], [...rows].reverse())],
  };
}

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

/** The list of rounds, a page at a time. */
export function drawRounds(section, board, rows, { run, shown, showMore, clear }) {
  const status = (row) => {
    const kind = row.status === "reverted" && row.failure_mode && row.failure_mode !== "score_missed" ? "failed" : row.status;
    return h("span", { class: `pill ${kind}` }, row.status === "reverted" ? row.failure_mode ?? "reverted" : row.status);
  };
  const names = new Set(rows.map((row) => `${row.project}\n${row.client}`)).size > 1;
  const any = (name) => rows.some((row) => row[name] !== null);
  const columns = [
    { name: "Started", plain: true, cell: (row) => f.dayAndTime(f.moment(row.started_at)) },
    ...(names ? [{ name: "Loop", long: true, cell: (row) => (row.client === "internal" ? row.project : `${row.project} · ${row.client}`) }] : []),
    { name: "End", plain: true, cell: status },
    { name: "Score", number: true, cell: (row) => f.score(row.score) },
    { name: "Gain", number: true, cell: (row) => f.signed(row.delta) },
    ...(any("model") ? [{ name: "Model", long: true, cell: (row) => row.model }] : []),
    { name: "Cost", number: true, cell: (row) => money(row.cost_usd, row.cost_known, 1) },
    { name: "Took", number: true, cell: (row) => f.duration(row.duration_s) },
    { name: "Round", plain: true, cell: (row) => h("span", { class: "id", title: row.round_id }, row.round_id.slice(-8)) },
  ];
  const some = rows.slice(0, shown);
  panel(section, {
    title: "Rounds", question: run ? `Of run ${run}, newest first` : "Of this night, newest first",
    aside: run ? h("button", { type: "button", class: "quiet-button", onclick: clear }, "All rounds of the night") : null,
    body: [
      rows.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rounds" }, table(columns, some))
        : h("p", { class: "empty" }, "No rounds here."),
      rows.length > shown ? h("p", {}, h("button", { type: "button", class: "quiet-button", onclick: showMore },
        `Show ${Math.min(PAGE * 10, rows.length - shown)} more of ${f.count(rows.length)}`)) : null,
    ],
    about: rows.length === 1000 && shown >= 1000 ? "The latest 1,000 rounds." : null,
    more: [query(board.text)],
  });
}

export const FIRST_ROUNDS = PAGE;
export const MORE_ROUNDS = PAGE * 10;
