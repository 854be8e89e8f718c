// Completing what is being written: tables, columns, functions, keywords; events inside quotes,
// properties after `properties.`. A list under the cursor; Tab or Enter takes, Escape closes.

import { h } from "../dom.js";

const MOST = 40;
const KEYWORDS = ("select distinct from where group by having order by limit offset as and or not in is null like ilike between " +
  "case when then else end asc desc left join inner join on using union all with over partition by array interval true false").split(" ");
const WORDS = [...new Set(KEYWORDS)];
const IDENTIFIER = /[\w$]*$/;

/** Return what could stand at the end of `before`: `{word, kind, insert}`, the best first. */
export function candidates(before, names) {
  const typed = IDENTIFIER.exec(before)[0];
  const lead = before.slice(0, before.length - typed.length);
  const quoted = (before.match(/'/g) ?? []).length % 2 === 1;
  const of = (kind, list, insert = (word) => word) => list.map((word) => ({ word, kind, insert: insert(word) }));
  if (quoted) {
    const start = before.lastIndexOf("'") + 1;
    return { typed: before.slice(start), found: match(before.slice(start), of("event", names.events, literal)) };
  }
  if (/\bproperties\.$/.test(lead)) return { typed, found: match(typed, of("property", names.properties, property)) };
  if (/\.$/.test(lead)) return { typed, found: [] };
  if (/\b(from|join)\s+$/i.test(lead)) return { typed, found: match(typed, of("table", Object.keys(names.tables))) };
  const columns = [...new Set(Object.values(names.tables).flat())];
  return { typed, found: typed ? match(typed, [...of("keyword", WORDS), ...of("column", columns), ...of("table", Object.keys(names.tables)),
    ...of("function", names.functions, (word) => `${word}(`)]) : [] };
}

const literal = (word) => word.replaceAll("\\", "\\\\").replaceAll("'", "\\'");
const property = (word) => (/^[A-Za-z_$][\w$]*$/.test(word) ? word : `\`${word.replaceAll("`", "\\`")}\``);

function match(typed, all) {
  const wanted = typed.toLowerCase();
  const starts = all.filter(({ word }) => word.toLowerCase().startsWith(wanted));
  const holds = wanted.length < 2 ? [] : all.filter(({ word }) => word.toLowerCase().indexOf(wanted) > 0);
  const found = [...starts, ...holds].slice(0, MOST);
  return found.length === 1 && found[0].insert === typed ? [] : found;
}

/** Bring completion to a textarea; `names()` gives what there is to name. */
export function completing(area, list, names) {
  let shown = { typed: "", found: [] };
  let at = 0;
  const close = () => {
    list.hidden = true;
    area.removeAttribute("aria-activedescendant");
  };
  const choose = (index) => {
    at = index;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
    area.setAttribute("aria-activedescendant", `completion-${at}`);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const take = (index) => {
    const cursor = area.selectionStart;
    area.setRangeText(shown.found[index].insert, cursor - shown.typed.length, cursor, "end");
    close();
    area.focus();
    area.dispatchEvent(new Event("changed"));
  };
  const open = () => {
    const before = area.value.slice(0, area.selectionStart);
    shown = candidates(before, names());
    if (!shown.found.length || area.selectionStart !== area.selectionEnd) return close();
    list.replaceChildren(...shown.found.map(({ word, kind }, i) =>
      h("li", { role: "option", id: `completion-${i}`, onmousedown: (event) => { event.preventDefault(); take(i); } }, h("span", {}, word), h("span", {}, kind))));
    put(area, list, before);
    list.hidden = false;
    return choose(0);
  };
  area.addEventListener("input", open);
  area.addEventListener("blur", close);
  area.addEventListener("click", close);
  area.addEventListener("keydown", (event) => {
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      open();
    }
    if (list.hidden || event.ctrlKey || event.metaKey) return;
    const count = shown.found.length;
    const acts = { ArrowDown: () => choose((at + 1) % count), ArrowUp: () => choose((at + count - 1) % count),
      Enter: () => take(at), Tab: () => take(at), Escape: close };
    if (!acts[event.key]) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    acts[event.key]();
  });
  return { close };
}

/** Put the list under the cursor: the letters are all of one width. */
function put(area, list, before) {
  const lines = before.split("\n");
  const pen = document.createElement("canvas").getContext("2d");
  const style = getComputedStyle(area);
  pen.font = `${style.fontSize} ${style.fontFamily}`;
  const x = area.offsetLeft + 12 + pen.measureText(lines.at(-1).replaceAll("\t", "    ")).width - area.scrollLeft;
  const y = area.offsetTop + 12 + lines.length * 20 - area.scrollTop;
  const room = area.parentElement.clientWidth - Math.min(360, area.parentElement.clientWidth * 0.8);
  list.style.left = `${Math.max(4, Math.min(x - 12, room - 4))}px`;
  list.style.top = `${y + 2}px`;
}
