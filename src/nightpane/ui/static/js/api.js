// Asking the server: two pages of its own (the digest, the boards' definitions) and the query API.

export class Refused extends Error {}
export class Away extends Error {}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    throw new Away(`The server does not answer (${error.message}).`);
  }
  const body = await answer.json().catch(() => ({}));
  if (answer.status === 401 || answer.status === 403) {
    throw new Refused("This browser is not let in: open the address that nightpane up printed.");
  }
  if (!answer.ok) throw new Error(body.detail || `${path} answered ${answer.status}`);
  return body;
}

/** Return the digest of the night that the parameters name. */
export const digest = (parameters) => ask(`/pane/digest?${new URLSearchParams(parameters)}`);

/** Return the definitions of boards and lists for a scope. */
export const boards = (parameters) => ask(`/pane/boards?${new URLSearchParams(parameters)}`);

/** Return the rows of a question (`query` and its `values`), as objects by column name. */
export async function hogql({ query, values }) {
  const body = await ask("/api/projects/@current/query/", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query: { kind: "HogQLQuery", query, values } }),
  });
  return body.results.map((row) =>
    Object.fromEntries(body.columns.map((column, i) => [column, row[i]])));
}
