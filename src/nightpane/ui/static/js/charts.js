// The charts, drawn by ECharts. Colours come from the style sheet, tooltips are elements and never
// HTML text. Each chart says in its label what it shows; the table beside it has the figures.

import { h } from "./dom.js";

let echarts = null;
/** Done when charts can be drawn: the library is read while the page asks for what to draw. */
export const ready = import("../vendor/echarts-6.1.0/echarts.esm.min.js").then((library) => { echarts = library; });

const drawn = new Map(); // element → { chart, option }
const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const chart = drawn.get(target)?.chart;
    // Told once as it begins to look, too: nothing has changed then.
    if (chart && (chart.getWidth() !== target.clientWidth || chart.getHeight() !== target.clientHeight)) chart.resize();
  }
});

/** The sheet's colours. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: of("ink"), soft: of("soft"), faint: of("faint"), line: of("line"), card: of("card"),
    accent: of("accent"), good: of("good"), bad: of("bad"), point: of("point"),
    series: [1, 2, 3, 4, 5, 6].map((i) => of(`series-${i}`)),
    sans: of("sans"), accentSoft: of("accent-soft"), heat: [1, 2, 3, 4, 5].map((i) => of(`heat-${i}`)),
  };
}

/** Draw into an element; `option(colours)` makes the chart, again when the theme changes. */
export function draw(element, label, option) {
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", label);
  let entry = drawn.get(element);
  const isNew = !entry;
  if (isNew) {
    entry = { chart: echarts.init(element, null, { renderer: "canvas" }) };
    drawn.set(element, entry);
    resized.observe(element);
  }
  entry.option = option;
  entry.chart.setOption({ ...base(option), ...(isNew ? { animation: false } : {}) }, { notMerge: true });
}

/** Draw all charts again in the colours in force. */
export function redraw() {
  for (const [element, { chart, option }] of drawn) {
    if (element.isConnected) chart.setOption(base(option), { notMerge: true });
  }
}

/** Let go of charts whose element has left the page. */
export function sweep() {
  for (const [element, { chart }] of drawn) {
    if (element.isConnected) continue;
    resized.unobserve(element);
    chart.dispose();
    drawn.delete(element);
  }
}

function base(option) {
  const c = colours();
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return {
    animation: !still, animationDuration: 350, animationDurationUpdate: 250,
    textStyle: { fontFamily: c.sans, color: c.soft, fontSize: 12 },
    color: c.series,
    ...option(c),
  };
}

/** An axis in the sheet's colours. */
export const axis = (c, more = {}) => ({
  axisLine: { show: false }, axisTick: { show: false },
  axisLabel: { color: c.soft, fontSize: 12, hideOverlap: true },
  splitLine: { lineStyle: { color: c.line } },
  nameTextStyle: { color: c.soft, fontSize: 12 },
  ...more,
});

/** A tooltip whose content is an element. */
export const tooltip = (c, content, more = {}) => ({
  trigger: "item", confine: true, backgroundColor: c.card, borderColor: c.line, padding: [8, 11],
  textStyle: { color: c.ink, fontSize: 13 }, formatter: content, ...more,
});

/** The content of a tooltip: a title and lines; null ones are left out. */
export const tip = (title, ...lines) =>
  h("div", { class: "tip" }, h("b", {}, title), lines.filter(Boolean).map((line) => h("div", {}, line)));

/** Return the drawn chart of an element as a PNG address, null when none is drawn there. */
export function imageOf(element) {
  const entry = drawn.get(element);
  return entry ? entry.chart.getDataURL({ type: "png", pixelRatio: 2, backgroundColor: colours().card }) : null;
}

let order = [];

/** Give each project the same colour in every chart: the colours follow this order. */
export function setProjects(names) {
  const before = order.join("\n");
  order = [...names].sort();
  if (order.join("\n") !== before) redraw(); // boards may have been drawn sooner
}

/** The colour of a project, wherever it is drawn; of another series, by its place in its chart. */
export function colourOf(c, name, place = 0) {
  const known = order.indexOf(name);
  return c.series[(known < 0 ? place : known) % c.series.length];
}
