// A little Markdown as elements: headings, lists, quotes, code, emphasis. Anything else, HTML and
// links included, stays the text it is: nothing from the data becomes markup or an address.

import { h } from "../dom.js";

const INLINE = /(`[^`\n]+`)|(\*\*[^*\n]+\*\*)|(\*[^*\s][^*\n]*\*)/g;

function inline(text) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > at) found.push(text.slice(at, match.index));
    const [whole, code, strong] = match;
    if (code) found.push(h("code", {}, whole.slice(1, -1)));
    else if (strong) found.push(h("strong", {}, whole.slice(2, -2)));
    else found.push(h("em", {}, whole.slice(1, -1)));
    at = match.index + whole.length;
  }
  if (at < text.length) found.push(text.slice(at));
  return found;
}

const BLOCKS = [
  ["heading", /^#{1,6}\s+(.*)/],
  ["ul", /^\s*[-*+]\s+(.*)/],
  ["ol", /^\s*\d{1,4}[.)]\s+(.*)/],
  ["quote", /^>\s?(.*)/],
];

function blockOf(line) {
  for (const [kind, pattern] of BLOCKS) {
    const match = pattern.exec(line);
    if (match) return [kind, match[1]];
  }
  return [line.trim() ? "text" : "blank", line];
}

function element(kind, lines) {
  if (kind === "ul" || kind === "ol") return h(kind, {}, lines.map((line) => h("li", {}, inline(line))));
  if (kind === "quote") return h("blockquote", {}, inline(lines.join("\n")));
  if (kind === "heading") return h("h4", {}, inline(lines[0]));
  return h("p", {}, inline(lines.join("\n")));
}

/** Return the text as elements. */
export function markdown(text) {
  const root = h("div", { class: "md" });
  let kind = "blank";
  let lines = [];
  let fence = null;
  const close = () => {
    if (lines.length) root.append(element(kind, lines));
    lines = [];
    kind = "blank";
  };
  for (const line of text.split("\n")) {
    if (fence !== null) {
      if (line.trim().startsWith("```")) {
        root.append(h("pre", { tabindex: "0" }, fence.join("\n")));
        fence = null;
      } else fence.push(line);
      continue;
    }
    if (line.trim().startsWith("```")) {
      close();
      fence = [];
      continue;
    }
    const [next, said] = blockOf(line);
    if (next !== kind || next === "heading") close();
    kind = next;
    if (next !== "blank") lines.push(said);
  }
  close();
  if (fence !== null) root.append(h("pre", { tabindex: "0" }, fence.join("\n")));
  return root;
}
