// A grid of coloured cells: x across, series down, the first y as the colour.

import { axis, draw, tip, tooltip } from "../charts.js";
import * as f from "../format.js";
import { formatter, isTime, words } from "./values.js";

const MOST_ROWS = 24;
const MOST_ACROSS = 8;
const LONGEST = 26;

/** Draw a heatmap: `x` across, `series` down. */
export function heatmap(element, board, rows) {
  const [column] = board.y;
  const time = isTime(board, rows);
  const across = [...new Set(rows.map((row) => keyOf(row[board.x], time)))];
  if (time) across.sort();
  const all = [...new Set(rows.map((row) => String(row[board.series] ?? "(none)")))].sort();
  const down = all.slice(0, MOST_ROWS);
  const values = rows.map((row) => row[column]).filter((value) => value !== null);
  const show = formatter(column);
  const rounded = (value) => show(Number(value.toPrecision(3)));
  const cells = rows.filter((row) => row[column] !== null && down.includes(String(row[board.series] ?? "(none)"))).map((row) => ({
    value: [across.indexOf(keyOf(row[board.x], time)), down.indexOf(String(row[board.series] ?? "(none)")), row[column]], row }));
  const written = (name) => (time ? f.dayOf(new Date(`${name}T12:00:00`)) : name);
  const content = ({ data }) => data.row && tip(`${down[data.value[1]]} · ${written(across[data.value[0]])}`, `${words(column)} ${show(data.value[2])}`,
    ...Object.keys(data.row).filter((name) => typeof data.row[name] === "number" && name !== column).slice(0, 5)
      .map((name) => `${words(name)} ${formatter(name)(data.row[name])}`));
  element.style.height = `${Math.max(240, down.length * 30 + 90)}px`;
  const gates = new Map(rows.filter((row) => typeof row.gate_share === "number").map((row) => [String(row[board.series]), row.gate_share]));
  const highest = Math.max(...gates.values());
  const gate = (name) => (gates.has(name) ? `lowest ${f.percent(gates.get(name))}` : "");
  const averages = down.map((name, i) => {
    const own = cells.filter((cell) => cell.value[1] === i).map((cell) => cell.value[2]);
    return `${name} ${rounded(own.reduce((a, b) => a + b, 0) / (own.length || 1))} on average${gates.has(name) ? `, ${gate(name)}` : ""}`;
  });
  draw(element, `${board.name}: ${board.question} ${averages.join("; ")}`, (c) => ({
    grid: { left: 4, right: 8, top: 8, bottom: 44, outerBoundsMode: "same" },
    tooltip: tooltip(c, content),
    xAxis: axis(c, { type: "category", data: across, splitLine: { show: false }, splitArea: { show: false },
      axisLabel: { color: c.soft, hideOverlap: true, formatter: written } }),
    yAxis: axis(c, { type: "category", data: down, inverse: true, splitLine: { show: false },
      axisLabel: { color: c.ink, fontSize: 12.5, lineHeight: 15,
        formatter: short, ...(gates.size ? { formatter: (name) => `${short(name)}\n{${gates.get(name) === highest ? "most" : "share"}|${gate(name)}}` } : {}),
        rich: { share: { color: c.soft, fontSize: 11 }, most: { color: c.bad, fontSize: 11, fontWeight: 600 } } } }),
    visualMap: { type: "continuous", min: Math.min(...values), max: Math.max(...values), calculable: false, orient: "horizontal",
      left: "center", bottom: 0, itemWidth: 12, itemHeight: 130, precision: 2, textStyle: { color: c.soft, fontSize: 11 },
      text: [rounded(Math.max(...values)), rounded(Math.min(...values))], inRange: { color: c.heat } },
    dataZoom: across.length > 20 ? [{ type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false }] : [],
    series: [{ type: "heatmap", data: cells, itemStyle: { borderColor: c.card, borderWidth: 2, borderRadius: 3 },
      label: { show: across.length <= MOST_ACROSS, fontSize: 11, formatter: ({ data }) => inCell(data.value[2], show) },
      emphasis: { itemStyle: { borderColor: c.ink, borderWidth: 1 } } }],
  }));
  return [
    gates.size ? "Lowest: the share of scored rounds in which no dimension was lower. Where that stays high, the dimension gates the score." : "",
    all.length > down.length ? `${down.length} of ${all.length} rows; the table has all.` : "",
  ].filter(Boolean).join(" ") || null;
}

const short = (name) => (name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name).replaceAll(/[{}|]/g, " ");
const inCell = (value, show) => (Number.isInteger(value) ? show(value) : String(Number(value.toPrecision(2))));
const keyOf = (value, time) => (time ? String(value).slice(0, 10) : String(value ?? "(none)"));
