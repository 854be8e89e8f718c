// What the page of a round asks the server: the tree, whether anything arrived, events in full.

export class Absent extends Error {}

const base = (id) => `/pane/round/${encodeURIComponent(id)}`;

async function ask(path) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin" });
  } catch (error) {
    throw new Error(`The server does not answer (${error.message}); trying again.`);
  }
  const body = await answer.json().catch(() => ({}));
  if (answer.status === 401 || answer.status === 403) {
    throw new Error("This browser is not let in: open the address that nightpane up printed.");
  }
  if (!answer.ok) throw new Error(body.detail || `${path} answered ${answer.status}`);
  return body;
}

/** The id of the page's round. */
export const id = decodeURIComponent(location.pathname.replace(/^\/round\//, ""));

// The page loads this module by itself, so that the trace is under way while the others load.
let early = ask(base(id));
early.catch(() => {});

/** Return the trace of the round; throws Absent when it has no event. */
export async function tree() {
  const asked = early ?? ask(base(id));
  early = null;
  const trace = await asked;
  if (!trace.nodes.length) throw new Absent("No event of this round is here.");
  return trace;
}

/** Return the number of the round's events; 0 for an unknown one. */
export const mark = async () => (await ask(`${base(id)}/mark`)).events;

/** Return events in full, by uuid; `at` is about when they were. */
export async function contents(uuids, at) {
  const given = new URLSearchParams([...uuids.map((uuid) => ["uuid", uuid]), ["at", at.toISOString()]]);
  return (await ask(`${base(id)}/contents?${given}`)).events;
}
