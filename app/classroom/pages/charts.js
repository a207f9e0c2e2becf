"use strict";
// Pictures on the wall, as SVG: guesses on a line, the mean that closes in, the histogram, and everybody's interval.

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 1200, TEXT = 24;

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function words(x, y, text, attributes = {}) {
  return svg("text", { x, y, "font-size": TEXT, ...attributes }, text);
}

/** Places of round numbers between low and high, about `count` of them. */
function ticks(low, high, count = 5) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(one => one * power).find(one => one >= raw);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + 1e-9 * step; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

function scale(low, high, from, to) {
  const span = high - low || 1;
  return value => from + (value - low) / span * (to - from);
}

function axis(x, y, low, high, title) {
  const marks = ticks(low, high).flatMap(value => [
    svg("line", { x1: x(value), x2: x(value), y1: y, y2: y + 8, class: "axis" }),
    words(x(value), y + 36, number(value), { "text-anchor": "middle" }),
  ]);
  return [svg("line", { x1: x(low), x2: x(high), y1: y, y2: y, class: "axis" }), ...marks,
    words((x(low) + x(high)) / 2, y + 72, title, { "text-anchor": "middle" })];
}

function picture(height, alt, ...children) {
  return svg("svg", { viewBox: `0 0 ${WIDE} ${height}`, role: "img", "aria-label": alt, class: "chart" }, ...children);
}

/** Everybody's guesses as stacked dots, a row for each vote, and the truth with the range that counts as right. */
function guesses(question) {
  const rounds = question.rounds.map(round => round.flatMap(([value, people]) => Array(people).fill(Number(value))));
  const all = [...rounds.flat(), ...(question.truth ? [question.truth.value] : [])];
  if (!all.length) return element("p", {}, say("no_answers"));
  let low = Math.min(...all), high = Math.max(...all);
  const room = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
  low -= room; high += room;
  const tall = rounds.length > 1 ? 190 : 330, x = scale(low, high, 60, WIDE - 60), made = [];
  const bottom = 30 + rounds.length * tall, columns = 70;
  if (question.truth) {
    const { value, margin } = question.truth;
    made.push(svg("rect", { x: x(Math.max(low, value - margin)), width: Math.max(2, x(Math.min(high, value + margin)) - x(Math.max(low, value - margin))), y: 20, height: bottom - 20, class: "right-range" }),
      svg("line", { x1: x(value), x2: x(value), y1: 20, y2: bottom, class: "truth-line" }),
      words(x(value), 18, `${say("truth")} ${number(value)}`, { "text-anchor": "middle", class: "truth-word" }));
  }
  rounds.forEach((values, index) => {
    const floor = 30 + (index + 1) * tall, stacks = new Map();
    for (const value of values) {
      const column = Math.round((value - low) / (high - low) * columns);
      stacks.set(column, (stacks.get(column) || 0) + 1);
    }
    const most = Math.max(...stacks.values()), size = Math.min(9, (tall - 40) / (2 * most));
    for (const [column, people] of stacks) {
      for (let i = 0; i < people; i++) made.push(svg("circle", { cx: 60 + (WIDE - 120) * column / columns, cy: floor - size - 2 * size * i, r: size, class: `dot round-${index + 1}` }));
    }
    made.push(svg("line", { x1: 60, x2: WIDE - 60, y1: floor, y2: floor, class: "axis" }));
    if (rounds.length > 1) made.push(words(60, floor - tall + 40, say("vote_number", { number: index + 1 })));
  });
  const alt = say("guesses_alt", { people: rounds.at(-1).length, truth: question.truth ? number(question.truth.value) : "–" });
  return picture(bottom + 90, alt, ...made, ...axis(x, bottom, low, high, plainUnit(question) || say("answer")));
}

function plainUnit(question) {
  const made = element("span", { html: question.unit });
  return made.textContent;
}

/** Mean ± 1.96 standard errors of the first n draws of all, n on a logarithmic axis, and the truth. */
function closing(draws) {
  const told = draws.closing.filter(one => one.error !== null && one.n >= 5);
  if (told.length < 2) return element("p", {}, say("no_draws_yet"));
  const ends = told.flatMap(one => [one.mean - 1.96 * one.error, one.mean + 1.96 * one.error]).concat(draws.truth);
  const sorted = [...ends].sort((a, b) => a - b), cut = Math.floor(sorted.length / 50);
  const low = Math.min(sorted[cut], draws.truth), high = Math.max(sorted[sorted.length - 1 - cut], draws.truth);
  const first = told[0].n, last = told.at(-1).n;
  const x = value => scale(Math.log(first), Math.log(last), 130, WIDE - 40)(Math.log(value)), y = scale(low, high, 270, 20);
  const held = value => Math.max(low, Math.min(high, value));
  const upper = told.map(one => `${x(one.n)},${y(held(one.mean + 1.96 * one.error))}`);
  const lower = told.map(one => `${x(one.n)},${y(held(one.mean - 1.96 * one.error))}`).reverse();
  const powers = [];
  for (let power = 1; power <= last; power *= 10) if (power >= first) powers.push(power);
  if (!powers.length || powers.length === 1) powers.push(last);
  return picture(360, say("closing_alt", { n: draws.all.n, mean: number(draws.all.mean), error: number(draws.all.error, 2), truth: number(draws.truth) }),
    svg("polygon", { points: [...upper, ...lower].join(" "), class: "band" }),
    svg("polyline", { points: told.map(one => `${x(one.n)},${y(held(one.mean))}`).join(" "), class: "mean" }),
    svg("line", { x1: 130, x2: WIDE - 40, y1: y(draws.truth), y2: y(draws.truth), class: "truth-line" }),
    ...ticks(low, high, 4).map(value => words(118, y(value) + 8, number(value), { "text-anchor": "end" })),
    svg("line", { x1: 130, x2: WIDE - 40, y1: 270, y2: 270, class: "axis" }),
    ...powers.map(power => words(x(power), 304, number(power), { "text-anchor": "middle" })),
    words(WIDE / 2, 344, say("draws_axis"), { "text-anchor": "middle" }));
}

/** All draws between the outer hundredths. */
function histogram(draws) {
  const { edges, counts } = draws.histogram;
  if (!counts.length) return "";
  const low = edges[0], high = edges.at(-1), most = Math.max(...counts);
  const x = scale(low, high, 60, WIDE - 60), y = scale(0, most, 220, 20);
  const made = counts.map((count, i) => svg("rect", { x: x(edges[i]) + 1, width: Math.max(1, x(edges[i + 1]) - x(edges[i]) - 2), y: y(count), height: 220 - y(count), class: "column" }));
  const inside = draws.truth >= low && draws.truth <= high;
  if (inside) made.push(svg("line", { x1: x(draws.truth), x2: x(draws.truth), y1: 10, y2: 220, class: "truth-line" }));
  return picture(310, say("histogram_alt", { n: draws.all.n }), ...made, ...axis(x, 220, low, high, say("estimate_axis")));
}

/** Everybody's mean ± 1.96 standard errors: a filled dot where it contains the truth, a ring and a dashed line where not. */
function intervals(draws) {
  const told = draws.each.filter(one => one.error !== null).slice(0, 60);
  if (!told.length) return "";
  const ends = told.flatMap(one => [one.mean - 1.96 * one.error, one.mean + 1.96 * one.error]).concat(draws.truth);
  const low = Math.min(...ends), high = Math.max(...ends), y = scale(low, high, 300, 20), step = (WIDE - 180) / told.length;
  const made = told.flatMap((one, i) => {
    const at = 140 + step * (i + 0.5), kind = one.hit ? "hit" : "miss";
    return [svg("line", { x1: at, x2: at, y1: y(one.mean - 1.96 * one.error), y2: y(one.mean + 1.96 * one.error), class: `interval ${kind}` }),
      svg("circle", { cx: at, cy: y(one.mean), r: 6, class: `interval ${kind}` })];
  });
  return picture(330, say("intervals_alt", { hits: told.filter(one => one.hit).length, all: told.length }),
    svg("line", { x1: 130, x2: WIDE - 40, y1: y(draws.truth), y2: y(draws.truth), class: "truth-line" }), ...made,
    ...ticks(low, high, 4).map(value => words(118, y(value) + 8, number(value), { "text-anchor": "end" })));
}
