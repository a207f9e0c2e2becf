/** A tape that is run on arrays in double precision, step by step: about as fast as code written for one function. */

import { erf, normalCdf } from "./special.js";
import { allotted, neededSteps } from "./tape.js";

/** @typedef {import("./tape.js").Operation} Operation */
/** @typedef {Float64Array} Doubles */
/** @typedef {(out: Doubles, n: number, a: Doubles, b: Doubles, c: Doubles, d: Doubles) => void} Run */

/** @param {(a: number) => number} f @returns {Run} */
const each = (f) => (out, n, a) => {
  for (let i = 0; i < n; i++) out[i] = f(a[i]);
};

/** Each is a loop of its own, so that it is compiled for one function. @type {Record<string, Run>} */
const RUNS = {
  add(out, n, a, b) {
    for (let i = 0; i < n; i++) out[i] = a[i] + b[i];
  },
  subtract(out, n, a, b) {
    for (let i = 0; i < n; i++) out[i] = a[i] - b[i];
  },
  multiply(out, n, a, b) {
    for (let i = 0; i < n; i++) out[i] = a[i] * b[i];
  },
  divide(out, n, a, b) {
    for (let i = 0; i < n; i++) out[i] = a[i] / b[i];
  },
  minimum(out, n, a, b) {
    for (let i = 0; i < n; i++) out[i] = Math.min(a[i], b[i]);
  },
  maximum(out, n, a, b) {
    for (let i = 0; i < n; i++) out[i] = Math.max(a[i], b[i]);
  },
  negate(out, n, a) {
    for (let i = 0; i < n; i++) out[i] = -a[i];
  },
  abs(out, n, a) {
    for (let i = 0; i < n; i++) out[i] = Math.abs(a[i]);
  },
  sqrt(out, n, a) {
    for (let i = 0; i < n; i++) out[i] = Math.sqrt(a[i]);
  },
  exp(out, n, a) {
    for (let i = 0; i < n; i++) out[i] = Math.exp(a[i]);
  },
  sin(out, n, a) {
    for (let i = 0; i < n; i++) out[i] = Math.sin(a[i]);
  },
  cos(out, n, a) {
    for (let i = 0; i < n; i++) out[i] = Math.cos(a[i]);
  },
  tanh(out, n, a) {
    for (let i = 0; i < n; i++) out[i] = Math.tanh(a[i]);
  },
  power(out, n, a, b) {
    for (let i = 0; i < n; i++) out[i] = a[i] ** b[i];
  },
  whereLess(out, n, a, b, c, d) {
    for (let i = 0; i < n; i++) out[i] = a[i] < b[i] ? c[i] : d[i];
  },
  whereAtMost(out, n, a, b, c, d) {
    for (let i = 0; i < n; i++) out[i] = a[i] <= b[i] ? c[i] : d[i];
  },
  expm1: each(Math.expm1),
  log: each(Math.log),
  log1p: each(Math.log1p),
  atan: each(Math.atan),
  erf: each(erf),
  normalCdf: each(normalCdf),
};

/**
 * A function that fills arrays with the results of a tape.
 *
 * @param {import("./tape.js").Tape} tape
 * @param {number} most  numbers at a time
 * @param {boolean} withSlope  whether the slope is wanted too
 * @returns {(t: Float64Array, n: number) => {value: Float64Array, slope: Float64Array}}  the first n results for the
 *   first n numbers t, which the next call overwrites; without slope, `slope` is the value again
 */
export function runner(tape, most, withSlope) {
  const results = withSlope ? [tape.value, tape.slope] : [tape.value];
  const places = neededSteps(tape, results);
  const { registers, count } = allotted(tape, places, results);
  const arrays = Array.from({ length: count }, () => new Float64Array(most));
  const variable = new Float64Array(0);
  /** @param {number} place */
  const arrayOf = (place) => {
    const { operation, number } = tape.steps[place];
    if (operation === "z") return variable;
    if (operation === "number") return new Float64Array(most).fill(number);
    return arrays[/** @type {number} */ (registers.get(place))];
  };
  const given = new Map(places.map((place) => [place, arrayOf(place)]));
  const line = places
    .filter((place) => registers.has(place))
    .map((place) => {
      const { operation, parts } = tape.steps[place];
      const run = RUNS[operation];
      if (!run) throw new Error(`${operation} is no step in double precision.`);
      const inputs = parts.map((part) => /** @type {Float64Array} */ (given.get(part)));
      return { run, out: /** @type {Float64Array} */ (given.get(place)), inputs };
    });
  const value = /** @type {Float64Array} */ (given.get(tape.value));
  const slope = /** @type {Float64Array} */ (given.get(withSlope ? tape.slope : tape.value));
  /** @param {Float64Array} array @param {Float64Array} t */
  const or = (array, t) => (array === variable ? t : array);
  return (t, n) => {
    for (const { run, out, inputs: [a, b, c, d] } of line) {
      run(out, n, or(a, t), b && or(b, t), c && or(c, t), d && or(d, t));
    }
    return { value: or(value, t), slope: or(slope, t) };
  };
}
