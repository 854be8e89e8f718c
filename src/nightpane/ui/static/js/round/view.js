// Which nodes of the trace are shown: folds, kinds and a search. No drawing in here.

export const GROUPS = {
  Steps: ["plan", "tool", "observation", "reflection", "retry"],
  "Model calls": ["generation", "embedding", "request"],
  Evaluations: ["suite", "case", "regression", "evaluation", "metric", "feedback"],
  Spans: ["span", "trace"],
  Events: ["event", "missing"],
};

/** Tell whether a node is one of the group (null is all of them) and says the words. */
function fits(node, group, words) {
  if (group && !GROUPS[group].includes(node.kind)) return false;
  if (!words.length) return true;
  const said = [node.name, node.text, node.error, node.agent, node.model, node.kind, node.event, node.id, node.status]
    .filter(Boolean).join("\n").toLowerCase();
  return words.every((word) => said.includes(word));
}

/** Return the indexes to show and those of them that match: a node's parents are shown with it. */
export function visible(nodes, { folded, group, search }) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = [];
  if (!group && !words.length) {
    for (let i = 0; i < nodes.length; i++) {
      shown.push(i);
      if (folded.has(nodes[i].id)) i += nodes[i].size;
    }
    return { shown, matches: null };
  }
  const matches = new Set();
  const kept = new Set();
  nodes.forEach((node, i) => {
    if (!fits(node, group, words)) return;
    matches.add(i);
    for (let at = i; at !== undefined && !kept.has(at); at = nodes[at].parent) kept.add(at);
  });
  for (let i = 0; i < nodes.length; i++) if (kept.has(i)) shown.push(i);
  return { shown, matches };
}

/** Return the indexes of matching nodes in the order in which they were told. */
export function logged(nodes, { group, search }) {
  const { shown, matches } = visible(nodes, { folded: new Set(), group, search });
  return shown.filter((i) => nodes[i].uuids && (!matches || matches.has(i))).sort((a, b) => nodes[a].at_ms - nodes[b].at_ms || a - b);
}

/** Return how many nodes there are of each group that has any. */
export const counts = (nodes) => Object.entries(GROUPS)
  .map(([name, kinds]) => [name, nodes.filter((node) => kinds.includes(node.kind)).length])
  .filter(([, count]) => count);
