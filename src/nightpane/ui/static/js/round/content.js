// What a model call said and was told, as elements: messages, tool calls, JSON, diffs. All of it is
// data: it becomes text nodes, and what is long is folded until somebody asks for it.

import { h } from "../dom.js";
import { markdown } from "./markdown.js";

const LONG_CHARS = 1800;
const MOST_MESSAGES = 40;
const ENDS = 20;

/** Return a value read from its JSON text, or as it is. */
export function parsed(value) {
  if (typeof value !== "string" || !/^\s*[[{"]/.test(value)) return value;
  try { return JSON.parse(value); } catch { return value; }
}

const pretty = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? String(value));

/** Return an element for a text: a long one is cut, with a button that shows the rest. */
function folded(text, make) {
  if (text.length <= LONG_CHARS) return make(text);
  const box = h("div", {}, make(`${text.slice(0, LONG_CHARS)}…`));
  const more = h("button", { type: "button", class: "link", onclick: () => box.replaceChildren(make(text)) },
    `Show all ${text.length.toLocaleString("en")} characters`);
  box.append(more);
  return box;
}

const block = (text) => h("pre", { tabindex: "0" }, text);

/** Return a value as indented JSON, folded when it is long. */
export const json = (value) => folded(pretty(parsed(value)), block);

const named = (name, child) => [h("p", { class: "part-name" }, name), child];

function call(name, given, id) {
  return named(`calls ${name ?? "a tool"}${id ? ` (${id})` : ""}`, json(given ?? {}));
}

/** Return the elements of one part of a message, in whichever provider's shape. */
function part(given) {
  if (given === null || given === undefined) return [];
  if (typeof given === "string") return [folded(given, markdown)];
  if (typeof given !== "object") return [block(String(given))];
  const said = given.text ?? (typeof given.content === "string" ? given.content : null);
  switch (given.type) {
    case "text": case "output_text": case "input_text":
      if (said !== null) return [folded(String(said), markdown)];
      break;
    case "thinking": case "reasoning": {
      const thought = given.thinking ?? said;
      if (typeof thought === "string") return named("thinks", folded(thought, block));
      break;
    }
    case "tool_use": case "tool_call": return call(given.name, given.input ?? given.arguments, given.id);
    case "function": case "function_call":
      return call(given.function?.name ?? given.name, given.function?.arguments ?? given.arguments, given.id ?? given.call_id);
    case "tool_result": case "tool_call_response": case "function_call_output":
      return named("result", content(given.content ?? given.result ?? given.response ?? given.output));
    default: if (!given.type && typeof said === "string") return [folded(said, markdown)];
  }
  return [json(given)];
}

function content(given) {
  return h("div", {}, (Array.isArray(given) ? given : [given]).flatMap(part));
}

function message(given) {
  if (typeof given !== "object" || given === null) return h("div", { class: "message" }, content(given));
  const role = String(given.role ?? given.type ?? "message");
  const known = ["assistant", "tool", "user", "system"].includes(role) ? role : given.role === "model" ? "assistant" : "";
  const calls = [given.tool_calls ?? [], given.function_call ? [{ type: "function", function: given.function_call }] : []].flat();
  const inner = given.content ?? given.parts ?? (given.role ? (calls.length ? [] : null) : given);
  const about = [role, given.name, given.tool_call_id].filter(Boolean).join(" · ");
  return h("div", { class: `message ${known}` }, h("header", {}, about),
    content(inner), calls.length ? h("div", {}, calls.flatMap((one) => part(typeof one === "object" && one ? { type: "function", ...one } : one))) : null);
}

/** Return the messages of a call's input or output; of many, the first and last ones at once. */
export function messages(given) {
  const value = parsed(given);
  const all = Array.isArray(value) ? value : [value];
  const box = h("div", {});
  if (all.length <= MOST_MESSAGES) {
    box.append(...all.map(message));
    return box;
  }
  const middle = all.slice(ENDS, -ENDS);
  const more = h("button", { type: "button", class: "quiet-button", onclick: () => more.replaceWith(...middle.map(message)) },
    `Show the ${middle.length.toLocaleString("en")} messages between`);
  box.append(...all.slice(0, ENDS).map(message), more, ...all.slice(-ENDS).map(message));
  return box;
}

const MOST_LINES = 2000;

/** Return a unified diff, its lines coloured. */
export function diff(text) {
  const lines = String(text).split("\n");
  const kind = (line) => (/^(\+\+\+|---|diff |index )/.test(line) ? "file" : line.startsWith("@@") ? "hunk"
    : line.startsWith("+") ? "add" : line.startsWith("-") ? "del" : null);
  const box = h("div", { class: "diff", tabindex: "0", role: "group", "aria-label": "Diff" },
    lines.slice(0, MOST_LINES).map((line) => h("div", { class: kind(line) }, line || " ")));
  if (lines.length > MOST_LINES) box.append(h("div", {}, `… ${lines.length - MOST_LINES} more lines`));
  return box;
}
