// A field: numbers at the nodes of a grid, {values, rows, columns}, row = y ascending. What can be made of them.

/** @import { Field, Line, Place, Window } from "./types.js" */

const FINE = 100; // nodes a side from which a field is fine enough to be drawn as it is
/** @type {number[][][]} */
const CORNERS = [[], [[0, 3]], [[0, 1]], [[1, 3]], [[1, 2]], [[0, 1], [2, 3]], [[0, 2]], [[2, 3]],
  [[2, 3]], [[0, 2]], [[0, 3], [1, 2]], [[1, 2]], [[1, 3]], [[0, 1]], [[0, 3]], []];

/**
 * Weights of the four nodes around each of `times` places between two, by Catmull and Rom's cubic.
 * @type {(times: number) => number[][]}
 */
function cubicWeights(times) {
  return Array.from({ length: times }, (_, k) => {
    const t = k / times;
    return [
      ((2 - t) * t - 1) * t / 2, ((3 * t - 5) * t * t + 2) / 2, (((4 - 3 * t) * t + 1) * t) / 2, ((t - 1) * t * t) / 2,
    ];
  });
}

/**
 * One direction of `finer`: `lines` lines of `length` numbers, `along` and `across` apart in `from`.
 * @type {(from: Float32Array, length: number, lines: number, along: number, across: number, weights: number[][]) =>
 *   [Float32Array, number]}
 */
function stretched(from, length, lines, along, across, weights) {
  const times = weights.length;
  const size = (length - 1) * times + 1;
  const to = new Float32Array(size * lines);
  for (let line = 0; line < lines; line++) {
    const [start, last] = [line * across, (length - 1) * along];
    let out = line * size;
    for (let node = 0; node <= last; node += along) {
      const before = from[start + Math.max(0, node - along)];
      const here = from[start + node];
      const next = from[start + Math.min(last, node + along)];
      const after = from[start + Math.min(last, node + 2 * along)];
      for (let k = 0; k < (node < last ? times : 1); k++) {
        const weight = weights[k];
        to[out++] = weight[0] * before + weight[1] * here + weight[2] * next + weight[3] * after;
      }
    }
  }
  return [to, size];
}

/**
 * The same field on a finer grid, smooth between the nodes, with which it agrees; never beyond what the field has.
 * @type {(field: Field) => Field}
 */
export function finer(field) {
  const { values, rows, columns } = field;
  const times = Math.ceil(FINE / Math.min(rows, columns));
  if (times < 2) return field;
  const weights = cubicWeights(times);
  const [wide, width] = stretched(values, columns, rows, 1, columns, weights);
  const [fine, height] = stretched(wide, rows, width, width, 1, weights); // column after column
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const found = new Float32Array(width * height);
  for (let c = 0; c < width; c++) {
    for (let r = 0; r < height; r++) {
      const value = fine[c * height + r];
      found[r * width + c] = Math.min(high, Math.max(low, value));
    }
  }
  return { values: found, rows: height, columns: width };
}

/**
 * The value of a field at a place of its window, between the nodes; NaN outside.
 * @type {(field: Field, window: Window, place: Place) => number}
 */
export function valueAt({ values, rows, columns }, [[x0, x1], [y0, y1]], [x, y]) {
  const [u, v] = [((x - x0) / (x1 - x0)) * (columns - 1), ((y - y0) / (y1 - y0)) * (rows - 1)];
  if (!(u >= 0 && v >= 0 && u <= columns - 1 && v <= rows - 1)) return NaN;
  const [c, r] = [Math.min(columns - 2, Math.floor(u)), Math.min(rows - 2, Math.floor(v))];
  /** @type {(k: number) => number} */
  const row = (k) => values[k * columns + c] + (u - c) * (values[k * columns + c + 1] - values[k * columns + c]);
  return row(r) + (v - r) * (row(r + 1) - row(r));
}

/**
 * The values above which a density has these shares of its mass in the window.
 * @type {(field: Field, shares: number[]) => number[]}
 */
export function levelsOfMass({ values }, shares) {
  // biome-ignore lint/complexity/useMathMinMax: what is no number has no mass
  const sorted = Float32Array.from(values, (value) => (value > 0 ? value : 0)).sort();
  const total = sorted.reduce((sum, value) => sum + value, 0);
  let [k, mass] = [sorted.length, 0];
  return shares.map((share) => {
    while (k > 0 && mass < share * total) mass += sorted[--k];
    return sorted[k] ?? Infinity;
  });
}

const GONE = -2; // the neighbour of a side that a line has passed
let neighbours = new Int32Array(0); // of each side, two; -1 where there is none, as everywhere between two calls

/**
 * The curve on which a field is `level`, as lines {x, y} with places in nodes; a closed one ends where it begins.
 *
 * It crosses the sides of cells. Side i is the one from node i to the next in its row, side n + i the one to the next
 * in its column, n being the number of nodes; each has at most two neighbours on the curve, one in each of its cells.
 * @type {(field: Field, level: number) => Line[]}
 */
export function contour(field, level) {
  const { values, rows, columns } = field;
  const n = values.length;
  if (neighbours.length < 4 * n) neighbours = new Int32Array(4 * n).fill(-1);
  /** @type {number[]} */
  const crossed = [];
  for (let r = 0; r < rows - 1; r++) {
    const first = r * columns;
    let left = (values[first] >= level ? 1 : 0) + (values[first + columns] >= level ? 8 : 0);
    for (let i = first; i < first + columns - 1; i++) {
      const right = (values[i + 1] >= level ? 1 : 0) + (values[i + columns + 1] >= level ? 2 : 0);
      const code = left + 2 * right; // 1, 2, 4 and 8 for the corners from below at the left, against the clock
      left = (right & 1) + 4 * (right & 2);
      if (code === 0 || code === 15) continue;
      const sides = [i, n + i + 1, i + columns, n + i]; // below, right, above, left
      for (const [p, q] of CORNERS[code]) {
        join(sides[p], sides[q], crossed);
        join(sides[q], sides[p], crossed);
      }
    }
  }
  // First the lines with two ends, each from one of them; then the closed ones.
  const lines = [];
  for (const side of [...crossed.filter((one) => neighbours[2 * one + 1] < 0), ...crossed]) {
    if (neighbours[2 * side] !== GONE) lines.push(placesOf(walked(side), field, level));
  }
  for (const side of crossed) neighbours[2 * side] = neighbours[2 * side + 1] = -1;
  return lines;
}

/** @type {(side: number, other: number, crossed: number[]) => void} */
function join(side, other, crossed) {
  if (neighbours[2 * side] >= 0) neighbours[2 * side + 1] = other;
  else {
    neighbours[2 * side] = other;
    crossed.push(side);
  }
}

/**
 * The sides along a curve, from one of them on, until it ends or is back.
 * @type {(first: number) => number[]}
 */
function walked(first) {
  const line = [];
  let [before, side] = [-1, first];
  while (side >= 0 && neighbours[2 * side] !== GONE) {
    line.push(side);
    const next = neighbours[2 * side] === before ? neighbours[2 * side + 1] : neighbours[2 * side];
    neighbours[2 * side] = GONE;
    [before, side] = [side, next];
  }
  if (side === first && line.length > 2) line.push(first);
  return line;
}

/**
 * Where a curve crosses these sides.
 * @type {(line: number[], field: Field, level: number) => Line}
 */
function placesOf(line, { values, columns }, level) {
  const [x, y] = [new Float32Array(line.length), new Float32Array(line.length)];
  line.forEach((side, k) => {
    const isUpright = side >= values.length;
    const i = isUpright ? side - values.length : side;
    const share = (level - values[i]) / (values[i + (isUpright ? columns : 1)] - values[i]);
    x[k] = (i % columns) + (isUpright ? 0 : share);
    y[k] = Math.floor(i / columns) + (isUpright ? share : 0);
  });
  return { x, y };
}
