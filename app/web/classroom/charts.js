// Pictures on the wall, as SVG: guesses on a line, the mean that closes in, the histogram, and everybody's interval.
// Each is drawn for so many pixels, {wide, tall}, so that its texts are as large as those of the page.

import { element, number, say } from "./common.js";

/** @import { Child, Draws, Estimate, Interval, Question, Size, Summary } from "./types.js" */

const SVG = "http://www.w3.org/2000/svg";
const textSize = () => parseFloat(getComputedStyle(document.body).fontSize);

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(string | Node)} children
 */
function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** @type {(x: number, y: number, text: string, attributes?: Record<string, string | number>) => SVGTextElement} */
function words(x, y, text, attributes = {}) {
  return svg("text", { x, y, "font-size": textSize(), ...attributes }, text);
}

/**
 * Places of round numbers between low and high, about `count` of them.
 * @type {(low: number, high: number, count?: number) => number[]}
 */
function ticks(low, high, count = 5) {
  const raw = (high - low || 1) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find(one => one * power >= raw * 0.999999) ?? 10);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + 1e-9 * step; at += step)
    found.push(Number(at.toPrecision(12)));
  return found;
}

/** @type {(low: number, high: number, from: number, to: number) => (value: number) => number} */
function scale(low, high, from, to) {
  const span = high - low || 1;
  return value => from + (value - low) / span * (to - from);
}

/** Pixels that an axis takes below its line: marks, numbers, and a title. */
const belowAxis = () => 10 + 2.6 * textSize();

/** @type {(x: (value: number) => number, y: number, low: number, high: number, title: string) => SVGElement[]} */
function axis(x, y, low, high, title) {
  const marks = ticks(low, high).flatMap(value => [
    svg("line", { x1: x(value), x2: x(value), y1: y, y2: y + 8, class: "axis" }),
    words(x(value), y + 8 + textSize(), number(value), { "text-anchor": "middle" }),
  ]);
  return [svg("line", { x1: x(low), x2: x(high), y1: y, y2: y, class: "axis" }), ...marks,
    words((x(low) + x(high)) / 2, y + 8 + 2.2 * textSize(), title, { "text-anchor": "middle" })];
}

/**
 * Numbers on the left, without those that would lie on each other.
 * @type {(y: (value: number) => number, low: number, high: number, right: number) => SVGElement[]}
 */
function leftAxis(y, low, high, right) {
  const most = Math.max(1, Math.floor(Math.abs(y(high) - y(low)) / (2 * textSize())));
  return ticks(low, high, Math.min(4, most)).map((value) =>
    words(right - 12, y(value) + textSize() / 3, number(value), { "text-anchor": "end" }),
  );
}

/** @type {(size: Size, alt: string, ...children: SVGElement[]) => SVGElement} */
function picture({ wide, tall }, alt, ...children) {
  return svg(
    "svg",
    { viewBox: `0 0 ${wide} ${tall}`, width: wide, height: tall, role: "img", "aria-label": alt, class: "chart" },
    ...children,
  );
}

/**
 * A word at x that stays inside of the picture.
 * @type {(x: number, text: string, wide: number) => number}
 */
function held(x, text, wide) {
  const half = text.length * textSize() * 0.28;
  return Math.max(half, Math.min(wide - half, x));
}

/**
 * Everybody's guesses as stacked dots, a row for each vote, and the truth with the range that counts as right.
 * @type {(question: Question, size: Size) => Element}
 */
export function guesses(question, size) {
  const { wide, tall } = size;
  const rounds = question.rounds.map(round => round.flatMap(([value, people]) => Array(people).fill(Number(value))));
  const all = [...rounds.flat(), ...(question.truth ? [Number(question.truth.value)] : [])];
  if (!all.length) return element("p", {}, say("no_answers"));
  let low = Math.min(...all), high = Math.max(...all);
  const room = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
  low -= room; high += room;
  const top = 1.5 * textSize(), bottom = tall - belowAxis(), row = (bottom - top) / rounds.length;
  const x = scale(low, high, 60, wide - 60), made = [], columns = 70;
  if (question.truth) {
    const value = Number(question.truth.value), { margin } = question.truth;
    const text = `${say("truth")} ${number(value)}`;
    made.push(
      svg("rect", {
        x: x(Math.max(low, value - margin)),
        width: Math.max(2, x(Math.min(high, value + margin)) - x(Math.max(low, value - margin))),
        y: top,
        height: bottom - top,
        class: "right-range",
      }),
      svg("line", { x1: x(value), x2: x(value), y1: top, y2: bottom, class: "truth-line" }),
      words(held(x(value), text, wide), textSize(), text, { "text-anchor": "middle", class: "truth-word" }),
    );
  }
  rounds.forEach((values, index) => {
    const floor = top + (index + 1) * row;
    /** @type {Map<number, number>} */
    const stacks = new Map();
    for (const value of values) {
      const column = Math.round((value - low) / (high - low) * columns);
      stacks.set(column, (stacks.get(column) || 0) + 1);
    }
    const most = Math.max(1, ...stacks.values()), radius = Math.min(9, (row - 1.5 * textSize()) / (2 * most));
    for (const [column, people] of stacks) {
      for (let i = 0; i < people; i++) made.push(
        svg("circle", {
          cx: 60 + ((wide - 120) * column) / columns,
          cy: floor - radius - 2 * radius * i,
          r: radius,
          class: `dot round-${index + 1}`,
        }),
      );
    }
    made.push(svg("line", { x1: 60, x2: wide - 60, y1: floor, y2: floor, class: "axis" }));
    if (rounds.length > 1)
      made.push(words(0, floor - row + 1.1 * textSize(), say("vote_number", { number: index + 1 })));
  });
  const alt = say("guesses_alt", {
    people: rounds[rounds.length - 1].length,
    truth: question.truth ? number(Number(question.truth.value)) : "–",
  });
  return picture(size, alt, ...made, ...axis(x, bottom, low, high, plainUnit(question) || say("answer")));
}

/** @type {(question: Question) => string} */
function plainUnit(question) {
  const made = element("span", { html: question.unit });
  return made.textContent;
}

/**
 * Whether there are enough draws for a standard error.
 * @template {Summary} Some
 * @param {Some} one
 * @returns {one is Some & Estimate}
 */
const isKnown = (one) => one.error !== null;

/** Where the pictures with numbers on the left begin. */
const LEFT = 130;

/**
 * Mean ± 1.96 standard errors of the first n draws of all, n on a logarithmic axis, and the truth.
 * @type {(draws: Draws, size: Size) => Element}
 */
export function closing(draws, size) {
  const { wide, tall } = size, bottom = tall - belowAxis();
  const told = draws.closing.filter(isKnown).filter(one => one.n >= 5);
  if (told.length < 2) return element("p", {}, say("no_draws_yet"));
  const ends = told.flatMap(one => [one.mean - 1.96 * one.error, one.mean + 1.96 * one.error]).concat(draws.truth);
  const sorted = [...ends].sort((a, b) => a - b), cut = Math.floor(sorted.length / 50);
  const low = Math.min(sorted[cut], draws.truth), high = Math.max(sorted[sorted.length - 1 - cut], draws.truth);
  const first = told[0].n, last = told[told.length - 1].n;
  /** @type {(value: number) => number} */
  const x = (value) => scale(Math.log(first), Math.log(last), LEFT, wide - 60)(Math.log(value));
  const y = scale(low, high, bottom - 8, textSize());
  /** @type {(value: number) => number} */
  const kept = value => Math.max(low, Math.min(high, value));
  const upper = told.map(one => `${x(one.n)},${y(kept(one.mean + 1.96 * one.error))}`);
  const lower = told.map(one => `${x(one.n)},${y(kept(one.mean - 1.96 * one.error))}`).reverse();
  const powers = [];
  for (let power = 1; power <= last; power *= 10) if (power >= first) powers.push(power);
  if (powers.length < 2) powers.push(last);
  return picture(
    size,
    say("closing_alt", {
      n: draws.all.n,
      mean: number(draws.all.mean),
      error: number(draws.all.error, 2),
      truth: number(draws.truth),
    }),
    svg("polygon", { points: [...upper, ...lower].join(" "), class: "band" }),
    svg("polyline", { points: told.map((one) => `${x(one.n)},${y(kept(one.mean))}`).join(" "), class: "mean" }),
    svg("line", { x1: LEFT, x2: wide - 60, y1: y(draws.truth), y2: y(draws.truth), class: "truth-line" }),
    ...leftAxis(y, low, high, LEFT),
    svg("line", { x1: LEFT, x2: wide - 60, y1: bottom, y2: bottom, class: "axis" }),
    ...powers.map((power) => words(x(power), bottom + 8 + textSize(), number(power), { "text-anchor": "middle" })),
    words((LEFT + wide - 60) / 2, bottom + 8 + 2.2 * textSize(), say("draws_axis"), { "text-anchor": "middle" }),
  );
}

/**
 * All draws between the outer hundredths, and as a line how many the exact distribution of one draw lets expect.
 * @type {(draws: Draws, size: Size) => Element}
 */
export function histogram(draws, size) {
  const { wide, tall } = size, bottom = tall - belowAxis(), top = 1.6 * textSize();
  const { edges, counts, expected } = draws.histogram;
  if (!counts.length) return element("p", {}, say("no_draws_yet"));
  const low = edges[0], high = edges[edges.length - 1], most = Math.max(...counts, ...(expected || []));
  const x = scale(low, high, 60, wide - 60), y = scale(0, most, bottom, top);
  /** @type {SVGElement[]} */
  const made = counts.map((count, i) =>
    svg("rect", {
      x: x(edges[i]) + 1,
      width: Math.max(1, x(edges[i + 1]) - x(edges[i]) - 2),
      y: y(count),
      height: bottom - y(count),
      class: "column",
    }),
  );
  if (draws.truth >= low && draws.truth <= high)
    made.push(svg("line", { x1: x(draws.truth), x2: x(draws.truth), y1: top, y2: bottom, class: "truth-line" }));
  if (expected) {
    made.push(
      svg("polyline", {
        points: expected
          .flatMap((count, i) => [`${x(edges[i])},${y(count)}`, `${x(edges[i + 1])},${y(count)}`])
          .join(" "),
        class: "expected",
      }),
      svg("line", { x1: 60, x2: 120, y1: 0.7 * textSize(), y2: 0.7 * textSize(), class: "expected" }),
      words(132, textSize(), say("expected")),
    );
  }
  return picture(
    size,
    say("histogram_alt", { n: draws.all.n }),
    ...made,
    ...axis(x, bottom, low, high, say("estimate_axis")),
  );
}

/**
 * Mean ± 1.96 standard errors of each: a filled dot where it contains the truth, a ring and a dashed line where
 * not.
 * @type {(draws: Draws, size: Size, each?: Interval[]) => Element}
 */
export function intervals(draws, size, each = draws.each) {
  const { wide, tall } = size;
  const told = each.filter(isKnown);
  if (!told.length) return element("p", {}, say("no_draws_yet"));
  const ends = told.flatMap(one => [one.mean - 1.96 * one.error, one.mean + 1.96 * one.error]).concat(draws.truth);
  const low = Math.min(...ends),
    high = Math.max(...ends),
    y = scale(low, high, tall - textSize(), textSize()),
    step = (wide - LEFT - 50) / told.length;
  const radius = Math.min(6, 0.35 * step), stroke = Math.min(4, 0.4 * step);
  const made = told.flatMap((one, i) => {
    const at = LEFT + 10 + step * (i + 0.5), kind = one.hit ? "hit" : "miss";
    return [
      svg("line", {
        x1: at,
        x2: at,
        y1: y(one.mean - 1.96 * one.error),
        y2: y(one.mean + 1.96 * one.error),
        class: `interval ${kind}`,
        "stroke-width": stroke,
      }),
      svg("circle", { cx: at, cy: y(one.mean), r: radius, class: `interval ${kind}`, "stroke-width": stroke }),
    ];
  });
  return picture(
    size,
    say("intervals_alt", { hits: told.filter((one) => one.hit).length, all: told.length }),
    svg("line", { x1: LEFT, x2: wide - 40, y1: y(draws.truth), y2: y(draws.truth), class: "truth-line" }),
    ...made,
    ...leftAxis(y, low, high, LEFT),
  );
}

/**
 * The intervals of the same members if many draws in a row share one N.
 * @type {(draws: Draws, size: Size) => Child}
 */
export function shared(draws, size) {
  return draws.shared ? intervals(draws, size, draws.shared.each) : "";
}
