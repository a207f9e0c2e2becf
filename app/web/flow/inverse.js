/**
 * The inverse of a flow, block by block from z to x: samples of the flow are the inverse of normal noise.
 *
 * In a block, x + g(x) = z is solved by Newton's method in the plane,
 *
 *     x <- x + (I + A)^-1 r,   r = z - x - g(x).
 *
 * A step that does not shrink the residual by the factor L is taken back, and Banach's step x <- x + r follows, which
 * does. With Lip(g) <= L < 1 in some norm, x + g(x) expands distances by at least 1 - L, so in that norm
 *
 *     ||x - x*|| <= ||r|| / (1 - L).
 *
 * A point counts as found when this is at most the tolerance, or as small as rounding allows. As in the core
 * (`resflow_core/fixed_point.py`), no other point is ever returned.
 */

/** @typedef {import("./branches.js").Numbers} Numbers */
/** @typedef {import("./evaluate.js").Flow} Flow */

/**
 * Points that were found, or why there are none. `ways` are the places of the points where they come to each block,
 * (blocks, points, 2), from which the next flow's search begins.
 *
 * @typedef {{points: Numbers, ways: Numbers, refusal: string}} Inverse
 */

const TOLERANCE = 1e-6;
const USUAL_ROUNDING = 1; // usually the residual falls to this many units of rounding
const MOST_ROUNDING = 8; // but sometimes rounding stops it here

/**
 * The norm of a vector of the plane, of an order from 1 to infinity.
 *
 * @param {number} order
 * @returns {(x: number, y: number) => number}
 */
export function normOfOrder(order) {
  if (order === 2) return (x, y) => Math.sqrt(x * x + y * y);
  if (order === 1) return (x, y) => Math.abs(x) + Math.abs(y);
  if (order === Number.POSITIVE_INFINITY) return (x, y) => Math.max(Math.abs(x), Math.abs(y));
  return (x, y) => {
    const largest = Math.max(Math.abs(x), Math.abs(y));
    if (!(largest > 0)) return largest;
    return largest * (Math.abs(x / largest) ** order + Math.abs(y / largest) ** order) ** (1 / order);
  };
}

/** Why a flow has no certified inverse; "" if it has one. @param {Flow} flow */
function uncertified({ shape: { bounds } }) {
  const block = bounds.findIndex((bound) => !(bound < 1));
  if (block < 0) return "";
  return `Block ${block + 1} has the certified bound ${Number(bounds[block].toPrecision(4))}. At 1 or above, neither ` +
    "the inverse nor the iteration to it is certified.";
}

/**
 * The points x that a flow takes to z, in the order of z.
 *
 * @param {Flow} flow
 * @param {Numbers} targets  z, one after the other
 * @param {Numbers | null} [begin]  `ways` of a flow like this one, for the same z
 * @param {number} [tolerance]  of each block, in the units of its points
 * @returns {Generator<void, Inverse, void>}
 */
export function* inverseOf(flow, targets, begin = null, tolerance = TOLERANCE) {
  const { branches, norms, shape: { blocks, bounds, orders } } = flow;
  const none = { points: branches.make(0), ways: branches.make(0) };
  const reason = uncertified(flow);
  if (reason) return { ...none, refusal: reason };
  const [points, ways] = [branches.make(targets.length), branches.make(blocks * targets.length)];
  const solver = solverOf(flow, tolerance);
  const count = targets.length / 2;
  for (let start = 0; start < count; start += branches.most) {
    const n = Math.min(branches.most, count - start);
    const here = solver.targets;
    for (let i = 0; i < 2 * n; i++) here[i] = targets[2 * start + i];
    denormalise(norms, blocks, here, n);
    for (let block = blocks - 1; block >= 0; block--) {
      const at = block * targets.length + 2 * start;
      const guess = begin ? begin.subarray(at, at + 2 * n) : null;
      const missed = solver.solve(block, n, guess, bounds[block], normOfOrder(Number(orders[block])));
      if (missed) {
        return { ...none, refusal: `The iteration to the inverse of block ${block + 1} did not arrive: ${missed}` };
      }
      ways.set(solver.found.subarray(0, 2 * n), at);
      here.set(solver.found.subarray(0, 2 * n));
      denormalise(norms, block, here, n);
    }
    points.set(here.subarray(0, 2 * n), 2 * start);
    yield;
  }
  return { points, ways, refusal: "" };
}

/**
 * Undo an ActNorm.
 *
 * @param {Float64Array} norms
 * @param {number} block
 * @param {Numbers} points
 * @param {number} n
 */
function denormalise(norms, block, points, n) {
  const [scaleX, scaleY, shiftX, shiftY] = norms.subarray(4 * block, 4 * block + 4);
  for (let i = 0; i < n; i++) {
    points[2 * i] = (points[2 * i] - shiftX) / scaleX;
    points[2 * i + 1] = (points[2 * i + 1] - shiftY) / scaleY;
  }
}

/**
 * What solves x + g(x) = z for all points of one part. The points that have been found leave the batch, because the
 * others need a step or two more.
 *
 * @param {Flow} flow
 * @param {number} tolerance
 */
function solverOf({ branches }, tolerance) {
  const { most, make, epsilon, room } = branches;
  const [targets, found, step] = [make(2 * most), make(2 * most), make(2 * most)];
  const left = new Float64Array(most); // ||r|| at the best place of each point
  const residuals = make(2 * most); // r there
  const helped = new Uint8Array(most); // whether the last step shrank it by the factor L
  const reach = new Float64Array(most); // a bound of ||x*||
  const places = new Int32Array(most); // the points that are under way

  /**
   * Fill `found`; returns why not all points were found, or "".
   *
   * @param {number} block
   * @param {number} n
   * @param {Numbers | null} guess
   * @param {number} bound
   * @param {(x: number, y: number) => number} size
   */
  function solve(block, n, guess, bound, size) {
    /** The residual that certifies the tolerance, or what rounding leaves. @param {number} i @param {number} times */
    const goal = (i, times) => {
      const distance = Math.min(size(found[2 * i], found[2 * i + 1]), reach[i]);
      return Math.max(tolerance * (1 - bound), times * epsilon * (1 + distance));
    };
    found.set(guess ?? targets.subarray(0, 2 * n));
    step.fill(0, 0, 2 * n);
    left.fill(Number.POSITIVE_INFINITY, 0, n);
    helped.fill(1, 0, n);
    let count = n;
    for (let i = 0; i < n; i++) places[i] = i;
    for (let k = 0, allowed = 0; count > 0; k++) {
      for (let j = 0; j < count; j++) {
        const i = places[j];
        room.x[j] = found[2 * i] + step[2 * i];
        room.y[j] = found[2 * i + 1] + step[2 * i + 1];
      }
      branches.jacobian(block, count);
      let under = 0;
      let largest = 1;
      for (let j = 0; j < count; j++) {
        const i = places[j];
        const rx = targets[2 * i] - room.x[j] - room.gx[j];
        const ry = targets[2 * i + 1] - room.y[j] - room.gy[j];
        const now = size(rx, ry);
        if (k === 0) reach[i] = size(room.x[j], room.y[j]) + now / (1 - bound);
        const wasBanach = !helped[i];
        helped[i] = Number(k === 0 || now <= bound * left[i]);
        if (helped[i] || wasBanach) {
          found[2 * i] = room.x[j];
          found[2 * i + 1] = room.y[j];
          [residuals[2 * i], residuals[2 * i + 1], left[i]] = [rx, ry, now];
        }
        const isFound = left[i] <= goal(i, USUAL_ROUNDING) || (!helped[i] && left[i] <= goal(i, MOST_ROUNDING));
        if (isFound) continue;
        if (helped[i]) newton(step, i, residuals, room, j);
        else step.set(residuals.subarray(2 * i, 2 * i + 2), 2 * i);
        if (k === 0) largest = Math.max(largest, left[i] / goal(i, MOST_ROUNDING));
        places[under++] = i;
      }
      count = under;
      // Banach's steps alone would need so many, and each may come after one that was taken back.
      if (k === 0) allowed = 2 * (5 + Math.ceil(Math.log(largest) / -Math.log(Math.max(bound, 1e-3))));
      if (k > allowed || !(allowed < 1e6)) break;
    }
    for (let j = 0; j < count; j++) {
      const i = places[j];
      if (left[i] <= goal(i, MOST_ROUNDING)) continue;
      return `the residual ${left[i].toPrecision(3)} stays above ${goal(i, MOST_ROUNDING).toPrecision(3)}.`;
    }
    return "";
  }

  return { targets, found, solve };
}

/**
 * The step (I + A)^-1 r, with the A that is at hand for the j-th point in the room.
 *
 * @param {Numbers} step
 * @param {number} i
 * @param {Numbers} residuals
 * @param {import("./branches.js").Room} room
 * @param {number} j
 */
function newton(step, i, residuals, { a, b, c, d }, j) {
  const [rx, ry] = [residuals[2 * i], residuals[2 * i + 1]];
  const det = (1 + a[j]) * (1 + d[j]) - b[j] * c[j];
  step[2 * i] = ((1 + d[j]) * rx - b[j] * ry) / det;
  step[2 * i + 1] = ((1 + a[j]) * ry - c[j] * rx) / det;
}
