// Asking the server: its own pages (the digest, the boards' definitions and rows) and PostHog's API.

import * as address from "./address.js";

export class Refused extends Error {}
export class Away extends Error {}

/** A query that the server does not answer; `at` is where, `{line, column, start, end}`, when known. */
export class Mistake extends Error {
  constructor(text, at) {
    super(text);
    this.at = at;
  }
}

const PROJECT = "/api/projects/@current";

async function send(path, options = {}) {
  let answer;
  try {
    answer = await (address.taken(path) ?? fetch(path, { credentials: "same-origin", ...options }));
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Away(`The server does not answer (${error.message}).`);
  }
  if (answer.ok) return answer;
  if (answer.status === 401 || answer.status === 403) {
    throw new Refused("This browser is not let in: open the address that nightpane up printed.");
  }
  const body = await answer.json().catch(() => ({}));
  throw new Mistake(body.detail || `${path} answered ${answer.status}`, body.extra ?? null);
}

const ask = async (path, options) => (await send(path, options)).json();

const json = (method, body, more = {}) => ({
  method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), ...more,
});

/** Return the digest of the night that a state names. */
export const digest = (state) => ask(address.digest(state));

/** Return the definitions of boards and lists for a state. */
export const boards = (state) => ask(address.boards(state));

/** Return what changes whenever an event arrives. */
export const mark = async () => (await ask("/pane/mark")).mark;

/** Return the query API's whole answer to a HogQL query. */
export const query = (text, values = {}, more = {}) =>
  ask(`${PROJECT}/query/`, json("POST", { query: { kind: "HogQLQuery", query: text, values } }, more));

/** Return the rows of a question (`query` and its `values`): columns, rows as lists and as objects. */
export async function rows({ query: text, values }) {
  const body = await ask("/pane/rows/@current", json("POST", { query: { kind: "HogQLQuery", query: text, values } }));
  const named = body.results.map((row) => Object.fromEntries(body.columns.map((column, i) => [column, row[i]])));
  return { columns: body.columns, lists: body.results, rows: named };
}

/** Return the rows of a question as objects by column name. */
export const hogql = async (question) => (await rows(question)).rows;

/** Return a query's answer as a Parquet file. */
export const parquet = async (text) => (await send("/pane/parquet", json("POST", { query: text }))).blob();

/** Return what a query can name: tables with their columns, functions, events, properties. */
export const names = () => ask("/pane/names");

/** Return the annotations: `{at, text}`, oldest first. */
export async function annotations() {
  const { results } = await ask(address.annotations);
  return results.filter((entry) => !entry.deleted && entry.date_marker && entry.content)
    .map((entry) => ({ at: Date.parse(entry.date_marker), text: entry.content }))
    .sort((a, b) => a.at - b.at);
}

/** The saved queries: PostHog's insights whose node is a `DataVisualizationNode`. */
export const saved = {
  list: async () => (await ask(`${PROJECT}/insights/?limit=500`)).results
    .filter((entry) => !entry.deleted && entry.query?.kind === "DataVisualizationNode" && entry.query.source?.kind === "HogQLQuery"),
  create: (name, text) => ask(`${PROJECT}/insights/`, json("POST", { name, saved: true, query: node(text) })),
  change: (id, fields) => ask(`${PROJECT}/insights/${id}/`, json("PATCH", fields)),
};

/** Return the node of a saved query. */
export const node = (text) => ({ kind: "DataVisualizationNode", source: { kind: "HogQLQuery", query: text }, display: "ActionsTable" });
