// The waterfall below the x-to-z slider: what the log density of a point is made of. It begins at z with the log
// density of the base; towards x each block adds its log det, one bar a block, and at x all ActNorms add theirs: that
// is log p(x).

/** @import { Sum } from "./point.js" */

/** @typedef {{ value: number, from: number, to: number }} Fall a bar */

const SVG = "http://www.w3.org/2000/svg";
export const HALF_THUMB = 8; // pixels from an end of the slider to the middle of its thumb there
const ROOM = 15; // pixels of height for a label of 13 pixels on either side of the bars
export const SIGNS = { more: "#e8811a", less: "#3f87c6" }; // what adds to the density, and what takes away from it

/**
 * A bar for each stage from x to the last block: {value, from, to}. Each begins where the one to its right ends.
 * What is not finite is NaN.
 * @type {(at: Sum) => Fall[]}
 */
export function fallOf({ actnorm, log_dets: logDets, log_normal: logNormal }) {
  /** @type {Fall[]} */
  const bars = [];
  let from = logNormal ?? NaN;
  for (const term of [actnorm, ...logDets].reverse()) {
    const value = term ?? NaN;
    const to = from + value;
    bars.unshift({ value, from, to });
    from = to;
  }
  return bars;
}

/** @type {(tag: string, attributes: Record<string, string | number>, text?: string) => SVGElement} */
const drawn = (tag, attributes, text = "") => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.textContent = text;
  return made;
};

/**
 * A number as it stands in a sum: three decimals, and a minus sign as in print.
 * @type {(value: number | null) => string}
 */
export const nats = (value) => (value === null ? "–" : value.toFixed(3).replace("-", "−"));

/**
 * Draw it over the whole width of the slider, with the bar of the `chosen` stage and the sum named.
 * @type {(svg: SVGElement, at: Sum, chosen: number) => void}
 */
export function drawWaterfall(svg, at, chosen) {
  const [bars, base] = [fallOf(at), at.log_normal ?? NaN];
  const { clientWidth: width, clientHeight: height } = svg;
  const room = (ROOM * parseFloat(getComputedStyle(svg).fontSize)) / 13;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const heights = [base, ...bars.map(({ to }) => to)];
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  if (!width || !Number.isFinite(high - low)) {
    svg.replaceChildren();
    return;
  }
  const apart = (width - 2 * HALF_THUMB) / bars.length;
  const wide = Math.max(2, Math.min(14, 0.7 * apart));
  /** @type {(stage: number) => number} */
  const x = (stage) => HALF_THUMB + stage * apart;
  /** @type {(value: number) => number} */
  const y = (value) => room + ((high - value) / (high - low || 1)) * (height - 2 * room);
  const marks = bars.map(({ value, from, to }, stage) => drawn("rect", {
    x: x(stage) - wide / 2, width: wide, y: y(Math.max(from, to)), height: Math.max(1, Math.abs(y(to) - y(from))),
    fill: value < 0 ? SIGNS.less : SIGNS.more, class: stage === chosen ? "chosen" : "",
  }));
  const links = bars.map(({ from }, k) =>
    drawn("line", { x1: x(k) + wide / 2, x2: x(k + 1) - wide / 2, y1: y(from), y2: y(from), class: "link" }));
  const start = drawn("circle", {
    cx: x(bars.length),
    cy: y(base),
    r: 4,
    class: chosen === bars.length ? "chosen" : "",
  });
  const [{ to: sum }] = bars;
  const level = drawn("line", { x1: 0, x2: width, y1: y(sum), y2: y(sum), class: "sum" });
  svg.replaceChildren(level, ...links, ...marks, start, ...namesOf(bars, base, chosen, x, y, { width, height, room }));
}

/**
 * The value of the chosen bar, above one that rises and below one that falls; and the sum, at the end with room.
 * @type {(bars: Fall[], base: number, chosen: number, x: (stage: number) => number, y: (value: number) => number, size:
 *   { width: number, height: number, room: number }) => SVGElement[]}
 */
function namesOf(bars, base, chosen, x, y, { width, height, room }) {
  const [{ to: sum }] = bars;
  const { value, from, to } = bars[chosen] ?? { value: base, from: base, to: base };
  const isBelow = chosen < bars.length ? value < 0 : y(base) < height / 2;
  const end = y(isBelow ? Math.min(from, to) : Math.max(from, to));
  const middle = Math.max(24, Math.min(width - 24, x(chosen)));
  const signed = `${value < 0 || chosen === bars.length ? "" : "+"}${nats(value)}`;
  const name = drawn("text", { x: middle, y: isBelow ? end + room : end - room / 3, "text-anchor": "middle" }, signed);
  const isLeft = chosen > bars.length / 2;
  const total = drawn(
    "text",
    {
      x: isLeft ? 0 : width,
      y: y(sum) > height / 2 ? y(sum) + 0.9 * room : y(sum) - room / 3,
      "text-anchor": isLeft ? "start" : "end",
      class: "total",
    },
    `log p(x) = ${nats(sum)}`,
  );
  return [total, name];
}
