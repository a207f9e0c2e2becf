/**
 * What a flow makes of points: z, log p, their places after each block, the terms of a log density.
 *
 *     log p(x) = log N(z; 0, I) + sum over blocks of log|det(I + A)| + the log scales of all ActNorms
 *
 * Points are (x, y) one after the other in one array. The functions that take many points are generators, which yield
 * after some of them, so that a page can do something else meanwhile; their last value is what they return.
 */

import { layoutOf, logScales, normsOf } from "./parts.js";

/** @typedef {import("./branches.js").Branches} Branches */
/** @typedef {import("./branches.js").Numbers} Numbers */
/** @typedef {import("./message.js").Shape} Shape */

/**
 * A flow that can be evaluated. `branches` have its numbers.
 *
 * @typedef {object} Flow
 * @property {Shape} shape
 * @property {Branches} branches
 * @property {Float64Array} norms  scale (2) and shift (2) before each block and after the last
 * @property {number} logScales  in nats
 */

const LOG_TWO_PI = Math.log(2 * Math.PI);
const FACTORS = 4; // determinants in one product: each lies between 0 and 4, so no number is too small or too large

/**
 * @param {Shape} shape
 * @param {Numbers} numbers
 * @param {Branches} branches  of flows of this shape
 * @returns {Flow}
 */
export function flowOf(shape, numbers, branches) {
  branches.load(numbers);
  const norms = normsOf(shape, layoutOf(shape), numbers);
  return { shape, branches, norms, logScales: logScales(norms) };
}

/** log N((x, y); 0, I) in nats. @param {number} x @param {number} y */
export const logNormal = (x, y) => -0.5 * (x * x + y * y) - LOG_TWO_PI;

/**
 * What every generator returns in the end, without a pause.
 *
 * @template T
 * @param {Generator<void, T, void>} pieces
 * @returns {T}
 */
export function finished(pieces) {
  for (;;) {
    const { done, value } = pieces.next();
    if (done) return /** @type {T} */ (value);
  }
}

/**
 * As many points at a time as there is room for: put into the room, and for each part a pause.
 *
 * @param {Branches} branches
 * @param {Numbers} points
 * @returns {Generator<{start: number, n: number}, void, void>}
 */
function* parts({ most, room }, points) {
  const count = points.length / 2;
  for (let start = 0; start < count; start += most) {
    const n = Math.min(most, count - start);
    for (let i = 0; i < n; i++) {
      room.x[i] = points[2 * (start + i)];
      room.y[i] = points[2 * (start + i) + 1];
    }
    yield { start, n };
  }
}

/**
 * The ActNorm before a block, or after the last one, of n points in the room.
 *
 * @param {Flow} flow
 * @param {number} block
 * @param {number} n
 */
export function normalise({ branches: { room: { x, y } }, norms }, block, n) {
  const [scaleX, scaleY, shiftX, shiftY] = norms.subarray(4 * block, 4 * block + 4);
  for (let i = 0; i < n; i++) {
    x[i] = scaleX * x[i] + shiftX;
    y[i] = scaleY * y[i] + shiftY;
  }
}

/** x <- x + g(x) @param {import("./branches.js").Room} room @param {number} n */
function add({ x, y, gx, gy }, n) {
  for (let i = 0; i < n; i++) {
    x[i] += gx[i];
    y[i] += gy[i];
  }
}

/**
 * n points in the room, from x to z, with every block's A at hand when `see` is told of it.
 *
 * @param {Flow} flow
 * @param {number} n
 * @param {(block: number) => void} see
 */
function pass(flow, n, see) {
  for (let block = 0; block < flow.shape.blocks; block++) {
    normalise(flow, block, n);
    flow.branches.jacobian(block, n);
    see(block);
    add(flow.branches.room, n);
  }
  normalise(flow, flow.shape.blocks, n);
}

/**
 * log p in nats of each point.
 *
 * @param {Flow} flow
 * @param {Numbers} points
 * @returns {Generator<void, Numbers, void>}
 */
export function* logDensities(flow, points) {
  const { branches, shape: { blocks }, logScales: constant } = flow;
  const { a, b, c, d, x, y } = branches.room;
  const found = branches.make(points.length / 2);
  const [product, sum] = [new Float64Array(branches.most), new Float64Array(branches.most)];
  for (const { start, n } of parts(branches, points)) {
    product.fill(1);
    sum.fill(constant);
    pass(flow, n, (block) => {
      for (let i = 0; i < n; i++) product[i] *= (1 + a[i]) * (1 + d[i]) - b[i] * c[i];
      if ((block + 1) % FACTORS && block + 1 < blocks) return;
      for (let i = 0; i < n; i++) {
        sum[i] += Math.log(Math.abs(product[i]));
        product[i] = 1;
      }
    });
    for (let i = 0; i < n; i++) found[start + i] = sum[i] + logNormal(x[i], y[i]);
    yield;
  }
  return found;
}

/**
 * The nodes of a grid over a window with its borders: x fastest, y ascending.
 *
 * @param {[[number, number], [number, number]]} window
 * @param {number} columns
 * @param {number} rows
 * @returns {Float64Array}
 */
export function gridPoints([[x0, x1], [y0, y1]], columns, rows) {
  const points = new Float64Array(2 * columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = 2 * (row * columns + column);
      points[at] = x0 + ((x1 - x0) * column) / Math.max(1, columns - 1);
      points[at + 1] = y0 + ((y1 - y0) * row) / Math.max(1, rows - 1);
    }
  }
  return points;
}

/**
 * Points on their way, (blocks + 2, points, 2): at x, after each block, and at z.
 *
 * @param {Flow} flow
 * @param {Numbers} points
 * @returns {Generator<void, Numbers, void>}
 */
export function* stages(flow, points) {
  const { branches, shape: { blocks } } = flow;
  const found = branches.make((blocks + 2) * points.length);
  found.set(points);
  /** @param {number} stage @param {number} start @param {number} n */
  const keep = (stage, start, n) => {
    const at = stage * points.length + 2 * start;
    const { x, y } = branches.room;
    for (let i = 0; i < n; i++) {
      found[at + 2 * i] = x[i];
      found[at + 2 * i + 1] = y[i];
    }
  };
  for (const { start, n } of parts(branches, points)) {
    for (let block = 0; block < blocks; block++) {
      normalise(flow, block, n);
      branches.value(block, n);
      add(branches.room, n);
      keep(block + 1, start, n);
    }
    normalise(flow, blocks, n);
    keep(blocks + 1, start, n);
    yield;
  }
  return found;
}

/**
 * A of every block where each point comes to it, (points, blocks, 4): [[a, b], [c, d]] row by row; and log p of the
 * points, in which an estimate of the log dets would replace theirs.
 *
 * @param {Flow} flow
 * @param {Numbers} points
 * @returns {Generator<void, {jacobians: Numbers, logNormals: Float64Array}, void>}
 */
export function* jacobiansOf(flow, points) {
  const { branches, shape: { blocks } } = flow;
  const { a, b, c, d, x, y } = branches.room;
  const jacobians = branches.make(2 * points.length * blocks);
  const logNormals = new Float64Array(points.length / 2);
  for (const { start, n } of parts(branches, points)) {
    pass(flow, n, (block) => {
      for (let i = 0; i < n; i++) {
        const at = 4 * ((start + i) * blocks + block);
        jacobians[at] = a[i];
        jacobians[at + 1] = b[i];
        jacobians[at + 2] = c[i];
        jacobians[at + 3] = d[i];
      }
    });
    for (let i = 0; i < n; i++) logNormals[start + i] = logNormal(x[i], y[i]);
    yield;
  }
  return { jacobians, logNormals };
}

/**
 * log p of one point, taken apart. `logProb` is the sum of the others.
 *
 * @typedef {object} Terms
 * @property {number} logProb
 * @property {number} logNormal  log N(z; 0, I)
 * @property {Float64Array} logDets  log|det(I + A)| of every block
 * @property {number} actnorm  the log scales of all ActNorms
 * @property {Numbers} jacobians  A of every block, four numbers each, row by row
 * @property {Numbers} path  x, its places after each block, and z: (blocks + 2, 2)
 */

/**
 * @param {Flow} flow
 * @param {[number, number]} point
 * @returns {Terms}
 */
export function termsOf(flow, point) {
  const at = Float64Array.from(point);
  const path = finished(stages(flow, at));
  const { jacobians, logNormals: [ofBase] } = finished(jacobiansOf(flow, at));
  const logDets = Float64Array.from({ length: flow.shape.blocks }, (_, block) => {
    const [a, b, c, d] = jacobians.subarray(4 * block, 4 * block + 4);
    return Math.log(Math.abs((1 + a) * (1 + d) - b * c));
  });
  const logProb = logDets.reduce((sum, value) => sum + value, ofBase + flow.logScales);
  return { logProb, logNormal: ofBase, logDets, actnorm: flow.logScales, jacobians, path };
}
