// What is known of the pinned point: what the browser has evaluated of the flow that is drawn, and beside it what the
// server has measured of the newest one (`encode_point`).

/** @import { View } from "./types.js" */
/** @typedef {import("../flow/client.js").PointTerms} PointTerms */
/** @typedef {PointTerms & {x: [number, number]}} Terms */

/**
 * The log density of a point, term by term; null where a number is not finite.
 * @typedef {object} Sum
 * @property {number} step
 * @property {number[]} x
 * @property {number | null} log_prob
 * @property {number | null} log_normal
 * @property {number | null} actnorm
 * @property {(number | null)[]} log_dets
 * @property {(number | null)[][]} path
 * @property {(number | null)[][]} jacobians
 * @property {(number | null)[][]} eigenvalues real and imaginary part of both
 * @property {(number | null)[]} radii
 */

/**
 * The same by the server, with what training estimates.
 * @typedef {Sum & {estimator: string, terms: number | null, means: (number | null)[], deviations: (number | null)[],
 *   true_log_prob: number | null}} Measured
 */

/**
 * All of it. `isOwn`: the sum is the browser's; `server` is what the server has measured of the same point, of this
 * step or another one.
 * @typedef {Sum & {isOwn: boolean, server: Measured | null, true_log_prob: number | null}} Known
 */

/** @type {(value: number) => number | null} */
const finite = (value) => (Number.isFinite(value) ? value : null);

/**
 * Real and imaginary part of both eigenvalues of [[a, b], [c, d]].
 * @param {number[]} entries
 */
export function eigenvaluesOf([a, b, c, d]) {
  const [middle, discriminant] = [(a + d) / 2, ((a - d) / 2) ** 2 + b * c];
  const root = Math.sqrt(Math.abs(discriminant));
  return discriminant < 0 ? [middle, root, middle, -root] : [middle + root, 0, middle - root, 0];
}

/** @type {WeakMap<Terms, Sum>} */
const sums = new WeakMap();

/** @param {Terms} terms @returns {Sum} */
function sumOf(terms) {
  const known = sums.get(terms);
  if (known) return known;
  const groups = (/** @type {ArrayLike<number>} */ numbers, /** @type {number} */ size) => {
    const group = (/** @type {number} */ k) => Array.from({ length: size }, (_, i) => numbers[k * size + i]);
    return Array.from({ length: numbers.length / size }, (_, k) => group(k));
  };
  const jacobians = groups(terms.jacobians, 4);
  const eigenvalues = jacobians.map(eigenvaluesOf);
  const radius = (/** @type {number[]} */ [p, q, r, s]) => Math.max(Math.hypot(p, q), Math.hypot(r, s));
  const sum = {
    step: terms.step, x: terms.x, log_prob: finite(terms.logProb), log_normal: finite(terms.logNormal),
    actnorm: finite(terms.actnorm), log_dets: Array.from(terms.logDets, finite),
    path: groups(terms.path, 2).map((place) => place.map(finite)), jacobians: jacobians.map((one) => one.map(finite)),
    eigenvalues: eigenvalues.map((one) => one.map(finite)), radii: eigenvalues.map((one) => finite(radius(one))),
  };
  sums.set(terms, sum);
  return sum;
}

/** @type {(one: number[], other: number[]) => boolean} */
const isSame = (one, other) => one.every((value, i) => value === other[i]);

/**
 * What is known of the point that is pinned now; null where nothing is. The same value as long as nothing new is known.
 * @param {View} view
 * @returns {Known | null}
 */
export function atProbe(view) {
  const { probe, picture } = view;
  if (!probe.x) return null;
  /** @type {Measured | null} */
  const measured = probe.at && isSame(probe.at.x, probe.x) ? probe.at : null;
  const terms = picture?.terms && isSame(picture.terms.x, probe.x) ? picture.terms : null;
  const server = view.time.shown ? null : measured; // of the newest flow alone
  const sum = terms ? sumOf(terms) : server;
  if (!sum) return null;
  if (probe.known?.sum !== sum || probe.known?.server !== server) {
    const all = { ...sum, isOwn: sum !== server, server, true_log_prob: measured?.true_log_prob ?? null };
    probe.known = { sum, server, all };
  }
  return probe.known.all;
}
