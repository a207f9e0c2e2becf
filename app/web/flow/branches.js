/**
 * The branches g of a flow at many points at once, with A = dg/dx, in double precision.
 *
 * Points are columns: what belongs to a unit stands side by side for all points. Value and both tangents go through the
 * layers together, z = W h + b and T_z = W T_h, and then h <- raw(z), T_h <- raw'(z) T_z.
 */

import { runner } from "./double.js";
import { tapeOf } from "./expression.js";
import { layoutOf } from "./parts.js";

/** @typedef {import("./message.js").Shape} Shape */
/** @typedef {Float32Array | Float64Array} Numbers */

/**
 * Room for points and what is computed of them: x, y; g at them, gx and gy; A = [[a, b], [c, d]].
 *
 * @typedef {{x: Numbers, y: Numbers, gx: Numbers, gy: Numbers, a: Numbers, b: Numbers, c: Numbers, d: Numbers}} Room
 */

/**
 * What computes the branches of flows of one shape: `branchesInDouble`, or `branchesInSingle` of `simd.js`.
 *
 * @typedef {object} Branches
 * @property {number} most  points at a time
 * @property {number} epsilon  the unit of rounding of its numbers
 * @property {(n: number) => Numbers} make  an array of n of its numbers
 * @property {Room} room
 * @property {(numbers: Numbers) => void} load  take the numbers of a flow
 * @property {(block: number, n: number) => void} value  fill gx and gy for the first n points
 * @property {(block: number, n: number) => void} jacobian  fill a, b, c and d too
 */

const AT_A_TIME = 32; // so that all that is computed stays in the processor's cache

/**
 * @param {Shape} shape
 * @returns {Branches}
 */
export function branchesInDouble(shape) {
  const layout = layoutOf(shape);
  const most = AT_A_TIME;
  const names = /** @type {const} */ (["x", "y", "gx", "gy", "a", "b", "c", "d"]);
  const room = /** @type {Room} */ (Object.fromEntries(names.map((name) => [name, new Float64Array(most)])));
  const tape = tapeOf(shape.activation.tree);
  const size = (layout.units + Math.max(...shape.widths)) * layout.copies * most;
  const [valueOnly, both] = [false, true].map((withSlope) => runner(tape, size, withSlope));
  /** Value and two tangents of the units at hand, and of what a layer makes of them. */
  const makeUnits = () => ({ h: new Float64Array(size), s: new Float64Array(size), t: new Float64Array(size) });
  const [here, there] = [makeUnits(), makeUnits()];
  const isDense = shape.branch === "dense";
  /** @type {Float64Array} */
  let numbers = new Float64Array(0);

  /**
   * raw of so many units in `from`, into `to` from the unit `begin` on; returns how many numbers it made.
   *
   * @param {ReturnType<typeof makeUnits>} from
   * @param {ReturnType<typeof makeUnits>} to
   * @param {number} begin
   * @param {number} units
   * @param {number} n
   * @param {boolean} withTangents
   */
  function activate(from, to, begin, units, n, withTangents) {
    const made = arrange(shape.activation.arrangement, from, units, n, withTangents);
    const count = made * n;
    const at = begin * n;
    const { value, slope } = (withTangents ? both : valueOnly)(from.h, count);
    to.h.set(value.subarray(0, count), at);
    if (withTangents) {
      for (let i = 0; i < count; i++) {
        to.s[at + i] = slope[i] * from.s[i];
        to.t[at + i] = slope[i] * from.t[i];
      }
    }
    return made;
  }

  /**
   * @param {number} block
   * @param {number} n
   * @param {boolean} withTangents
   */
  function evaluate(block, n, withTangents) {
    const first = block * layout.stride;
    const beta = isDense ? 1 : numbers[first + layout.beta];
    const start = isDense ? here : there;
    for (let i = 0; i < n; i++) {
      start.h[i] = beta * room.x[i];
      start.h[n + i] = beta * room.y[i];
    }
    if (withTangents) {
      start.s.fill(beta, 0, n).fill(0, n, 2 * n);
      start.t.fill(0, 0, n).fill(beta, n, 2 * n);
    }
    let units = isDense ? 2 : activate(there, here, 0, 2, n, withTangents);
    for (const [k, layer] of layout.layers.entries()) {
      through(numbers, first, layer, here.h, there.h, n, true);
      if (withTangents) {
        through(numbers, first, layer, here.s, there.s, n, false);
        through(numbers, first, layer, here.t, there.t, n, false);
      }
      if (k + 1 === layout.layers.length) break;
      const begin = isDense ? units : 0;
      units = begin + activate(there, here, begin, layer.rows, n, withTangents);
    }
    for (let i = 0; i < n; i++) {
      room.gx[i] = there.h[i];
      room.gy[i] = there.h[n + i];
    }
    if (!withTangents) return;
    for (let i = 0; i < n; i++) {
      room.a[i] = there.s[i];
      room.b[i] = there.t[i];
      room.c[i] = there.s[n + i];
      room.d[i] = there.t[n + i];
    }
  }

  return {
    most,
    epsilon: Number.EPSILON,
    make: (n) => new Float64Array(n),
    room,
    load(loaded) {
      if (loaded.length !== layout.count) throw new Error(`${loaded.length} numbers: the flow has ${layout.count}.`);
      numbers = Float64Array.from(loaded);
    },
    value: (block, n) => evaluate(block, n, false),
    jacobian: (block, n) => evaluate(block, n, true),
  };
}

/**
 * W h, or W h + b, of n points.
 *
 * @param {Float64Array} numbers
 * @param {number} first  where the numbers of the block begin
 * @param {import("./parts.js").Layer} layer
 * @param {Float64Array} from
 * @param {Float64Array} to
 * @param {number} n
 * @param {boolean} withBias
 */
function through(numbers, first, { rows, columns, weights, biases }, from, to, n, withBias) {
  for (let row = 0; row < rows; row++) {
    const out = row * n;
    to.fill(withBias ? numbers[first + biases + row] : 0, out, out + n);
    for (let column = 0; column < columns; column++) {
      const weight = numbers[first + weights + row * columns + column];
      const begin = column * n;
      for (let i = 0; i < n; i++) to[out + i] += weight * from[begin + i];
    }
  }
}

/**
 * Arrange units before a function is applied to each; returns how many there are then.
 *
 * @param {import("./message.js").Arrangement} arrangement
 * @param {{h: Float64Array, s: Float64Array, t: Float64Array}} of
 * @param {number} units
 * @param {number} n
 * @param {boolean} withTangents
 */
function arrange(arrangement, { h, s, t }, units, n, withTangents) {
  const kinds = withTangents ? [h, s, t] : [h];
  const count = units * n;
  if (arrangement === "both signs") {
    for (const kind of kinds) for (let i = 0; i < count; i++) kind[count + i] = -kind[i];
    return 2 * units;
  }
  if (arrangement === "sorted pairs") {
    for (let unit = 0; unit + 1 < units; unit += 2) {
      for (let i = unit * n; i < (unit + 1) * n; i++) {
        if (!(h[i] < h[i + n])) continue;
        for (const kind of kinds) [kind[i], kind[i + n]] = [kind[i + n], kind[i]];
      }
    }
  }
  return units;
}
