/**
 * Where the numbers of a flow stand, as `folded_numbers` of the core writes them.
 *
 * The map is x -> z, block by block. An ActNorm takes x to scale x + shift, and a block takes x to x + g(x).
 *
 *     residual:  g(x) = W_m raw(... W_1 raw(beta x) + b_1 ...) + b_m
 *     dense:     h = x;  h <- [h; raw(W_i h + b_i)] for each layer but the last;  g(x) = W_m h + b_m
 *
 * raw arranges the units and then applies one function to each number.
 */

/** @typedef {import("./message.js").Shape} Shape */

/**
 * One layer of every block: where in the numbers of a block its weights stand, row by row, and its biases.
 *
 * @typedef {object} Layer
 * @property {number} rows  how many units it computes
 * @property {number} columns  of how many numbers
 * @property {number} weights
 * @property {number} biases
 */

/**
 * @typedef {object} Layout
 * @property {Layer[]} layers
 * @property {number} copies  the numbers that an activation makes of a unit
 * @property {number} norm  where scale (2) and shift (2) of the ActNorm before a block stand; -1 without
 * @property {number} beta  where the first scale stands; -1 in dense blocks, which have none
 * @property {number} stride  the numbers of a block, with its ActNorm
 * @property {number} count  all numbers of a flow
 * @property {number} units  the largest number of units of one layer, or of all before it in a dense block
 */

/**
 * @param {Shape} shape
 * @returns {Layout}
 */
export function layoutOf({ blocks, widths, branch, actnorm, activation }) {
  const copies = activation.arrangement === "both signs" ? 2 : 1;
  let at = 0;
  /** @param {number} count */
  const take = (count) => {
    at += count;
    return at - count;
  };
  const isDense = branch === "dense";
  const norm = actnorm ? take(4) : -1;
  const beta = isDense ? -1 : take(1);
  const layers = [];
  let columns = isDense ? widths[0] : copies * widths[0];
  let units = columns;
  const outputs = widths.slice(1);
  for (const [k, rows] of outputs.entries()) {
    layers.push({ rows, columns, weights: take(rows * columns), biases: take(rows) });
    if (k + 1 < outputs.length) columns = (isDense ? columns : 0) + copies * rows;
    units = Math.max(units, columns);
  }
  return { layers, copies, norm, beta, stride: at, count: blocks * at + (actnorm ? 4 : 0), units };
}

/**
 * Scale (2) and shift (2) of every ActNorm, one before each block and one after the last; the identity without.
 *
 * @param {Shape} shape
 * @param {Layout} layout
 * @param {Float32Array | Float64Array} numbers
 * @returns {Float64Array}
 */
export function normsOf({ blocks }, { norm, stride }, numbers) {
  const found = new Float64Array(4 * (blocks + 1));
  for (let k = 0; k <= blocks; k++) {
    const from = k * stride + (k < blocks ? norm : 0);
    found.set(norm < 0 ? [1, 1, 0, 0] : numbers.subarray(from, from + 4), 4 * k);
  }
  return found;
}

/** The sum of log|scale| over all coordinates of all ActNorms, in nats. @param {Float64Array} norms */
export function logScales(norms) {
  let sum = 0;
  for (let k = 0; k < norms.length; k += 4) sum += Math.log(Math.abs(norms[k] * norms[k + 1]));
  return sum;
}
