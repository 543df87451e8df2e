// Line charts: one drawing, and the same numbers as a table for those who read instead of look.

import { h, svg } from "./dom.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [560, 220, 52, 12, 10, 26];
/** More points than the drawing has columns are told by the lowest and highest of each column. */
const MOST = 560;
/** From so many points on, their mean over a window is drawn over them: single steps are noise. */
const SMOOTHED = 60;

/** `series`: `[{name, points: [[x, y]…], dots}]`, x rising; values that are no numbers are left out. */
export function lineChart(title, series) {
  const drawn = series.map((one) => ({ ...one, points: one.points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y)) })).filter((one) => one.points.length);
  const all = drawn.flatMap((one) => one.points);
  if (!all.length) return null;
  const [x0, x1] = span(all.map(([x]) => x));
  const [y0, y1] = span(all.map(([, y]) => y));
  const X = (x) => LEFT + (WIDTH - LEFT - RIGHT) * (x1 === x0 ? 0.5 : (x - x0) / (x1 - x0));
  const Y = (y) => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y1 === y0 ? 0.5 : (y - y0) / (y1 - y0));
  const path = (points) => points.map(([x, y], at) => `${at ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`).join("");
  const marks = svg("g", { class: "axis" },
    ticks(y0, y1, 4).map((y) => [svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: Y(y), y2: Y(y) }), words(short(y), LEFT - 7, Y(y) + 4, "end")]),
    steps(all, ticks(x0, x1, 5)).map((x) => words(short(x), X(x), HEIGHT - 7, "middle")));
  const lines = drawn.map((one, place) => svg("g", { class: `line line-${place % 4}` },
    one.points.length > SMOOTHED && svg("path", { class: "raw", d: path(thinned(one.points)) }),
    one.points.length > 1 && svg("path", { d: path(one.points.length > SMOOTHED ? thinned(smooth(one.points)) : one.points) }),
    (one.dots || one.points.length === 1) && one.points.map(([x, y]) => svg("circle", { cx: X(x).toFixed(1), cy: Y(y).toFixed(1), r: 3 }))));
  const said = drawn.map((one) => `${one.name}: ${short(one.points[0][1])} to ${short(one.points.at(-1)[1])}`).join("; ");
  const reading = h("span", { class: "hint reading" }, drawn.map((one) => short(one.points.at(-1)[1])).join(" / "));
  const cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, x1: -9, x2: -9 });
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}. ${said}` }, marks, lines, cursor);
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const x = x0 + (x1 - x0) * ((event.clientX - box.left) / box.width * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT);
    const near = drawn.map((one) => nearest(one.points, x));
    cursor.setAttribute("x1", X(near[0][0]));
    cursor.setAttribute("x2", X(near[0][0]));
    reading.textContent = `${near.map(([, y]) => short(y)).join(" / ")} at ${short(near[0][0])}`;
  });
  picture.addEventListener("pointerleave", () => {
    cursor.setAttribute("x1", -9);
    cursor.setAttribute("x2", -9);
    reading.textContent = drawn.map((one) => short(one.points.at(-1)[1])).join(" / ");
  });
  const key = drawn.length > 1 && h("p", { class: "key" }, drawn.map((one, place) => h("span", null, h("i", { class: `line-${place % 4}` }), one.name)));
  return h("figure", { class: "chart" }, h("figcaption", null, h("strong", null, title), reading), picture, key, table(title, drawn));
}

/** The table is made when it is opened: a long run has thousands of rows. */
function table(title, drawn) {
  const details = h("details", null, h("summary", { class: "hint" }, "As a table"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("table")) return;
    const steps = [...new Set(drawn.flatMap((one) => one.points.map(([x]) => x)))].sort((a, b) => a - b);
    const kept = steps.length > 200 ? steps.filter((_, at) => at % Math.ceil(steps.length / 200) === 0 || at === steps.length - 1) : steps;
    const values = drawn.map((one) => new Map(one.points));
    details.append(h("div", { class: "wide short", tabindex: "0", role: "region", "aria-label": `${title}, as a table` }, h("table", null,
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Step"), drawn.map((one) => h("th", { scope: "col" }, one.name)))),
      h("tbody", null, kept.map((step) => h("tr", null, h("th", { scope: "row" }, short(step)), values.map((by) => h("td", { class: "number" }, by.has(step) ? short(by.get(step)) : ""))))))));
  });
  return details;
}

function words(text, x, y, anchor) {
  return svg("text", { x, y, "text-anchor": anchor }, text);
}

function span(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Between whole steps there is nothing to be marked. */
function steps(points, marks) {
  return points.every(([x]) => Number.isInteger(x)) ? marks.filter(Number.isInteger) : marks;
}

export function ticks(low, high, count) {
  if (low === high) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + step * 1e-9; at += 1) found.push(Number((at * step).toPrecision(12)));
  return found;
}

export function thinned(points) {
  if (points.length <= 2 * MOST) return points;
  const size = points.length / MOST;
  const kept = [];
  for (let column = 0; column < MOST; column += 1) {
    const part = points.slice(Math.floor(column * size), Math.floor((column + 1) * size));
    const low = part.reduce((best, one) => (one[1] < best[1] ? one : best));
    const high = part.reduce((best, one) => (one[1] > best[1] ? one : best));
    kept.push(...(low[0] <= high[0] ? [low, high] : [high, low]));
  }
  return kept;
}

/** The mean over a window of a twenty-fifth of all points around each. */
export function smooth(points) {
  const reach = Math.max(1, Math.round(points.length / 50));
  const sums = [0];
  for (const [, y] of points) sums.push(sums.at(-1) + y);
  return points.map(([x], at) => {
    const [from, to] = [Math.max(0, at - reach), Math.min(points.length, at + reach + 1)];
    return [x, (sums[to] - sums[from]) / (to - from)];
  });
}

function nearest(points, x) {
  return points.reduce((best, one) => (Math.abs(one[0] - x) < Math.abs(best[0] - x) ? one : best));
}

export function short(value) {
  if (!Number.isFinite(value)) return "";
  const size = Math.abs(value);
  if (size >= 1e9) return `${+(value / 1e9).toPrecision(3)} G`;
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)} M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(3)} k`;
  if (size !== 0 && size < 1e-3) return value.toExponential(1);
  return String(+value.toPrecision(4));
}
