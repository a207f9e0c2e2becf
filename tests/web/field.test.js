import assert from "node:assert/strict";
import { test } from "node:test";
import { contour, finer, levelsOfMass, valueAt } from "../../app/web/canvas/field.js";

/** @import { Field, Window } from "../../app/web/canvas/types.js" */

const [ROWS, COLUMNS] = [17, 23];
/** @type {Window} */
const WINDOW = [[-2, 3], [-1, 1]];

/** @type {(of: (x: number, y: number) => number, rows?: number, columns?: number) => Field} */
function sampled(of, rows = ROWS, columns = COLUMNS) {
  const [[x0, x1], [y0, y1]] = WINDOW;
  const values = Float32Array.from({ length: rows * columns }, (_, i) =>
    of(x0 + ((i % columns) * (x1 - x0)) / (columns - 1), y0 + (Math.floor(i / columns) * (y1 - y0)) / (rows - 1)));
  return { values, rows, columns };
}

test("a finer field agrees with the field at its nodes, and with any plane between them", () => {
  const field = sampled((x, y) => 0.5 * x - 2 * y + 1);
  const fine = finer(field);
  const times = (fine.columns - 1) / (field.columns - 1);
  assert.ok(Number.isInteger(times) && times > 1 && (fine.rows - 1) / (field.rows - 1) === times);
  const wanted = sampled((x, y) => 0.5 * x - 2 * y + 1, fine.rows, fine.columns);
  // At the border the cubic repeats the outermost node, so a plane is met from the second cell on.
  for (let r = times; r < fine.rows - times; r++) {
    for (let c = times; c < fine.columns - times; c++) {
      const i = r * fine.columns + c;
      assert.ok(Math.abs(fine.values[i] - wanted.values[i]) < 1e-5);
    }
  }
  for (let r = 0; r < ROWS; r++) {
    for (let c = 0; c < COLUMNS; c++) {
      const node = field.values[r * COLUMNS + c];
      assert.ok(Math.abs(fine.values[r * times * fine.columns + c * times] - node) < 1e-6);
    }
  }
});

test("between nodes a field is bilinear, and outside of its window it has no value", () => {
  const field = sampled((x, y) => 3 * x + y - 0.25);
  for (const [x, y] of [[-2, -1], [0.123, 0.456], [2.99, -0.99], [3, 1]]) {
    assert.ok(Math.abs(valueAt(field, WINDOW, [x, y]) - (3 * x + y - 0.25)) < 1e-5);
  }
  for (const [x, y] of [[3.01, 0], [0, 1.01], [-2.01, 0], [0, -1.01]]) {
    assert.ok(Number.isNaN(valueAt(field, WINDOW, [x, y])));
  }
});

test("the curve of a bowl is one closed ring at its radius", () => {
  const side = 81;
  const middle = (side - 1) / 2;
  const values = Float32Array.from({ length: side * side }, (_, i) =>
    Math.hypot((i % side) - middle, Math.floor(i / side) - middle));
  const lines = contour({ values, rows: side, columns: side }, 20.3);
  assert.equal(lines.length, 1);
  const [{ x, y }] = lines;
  assert.deepEqual([x[0], y[0]], [x.at(-1), y.at(-1)]);
  x.forEach((at, k) => assert.ok(Math.abs(Math.hypot(at - middle, y[k] - middle) - 20.3) < 0.01));
  let area = 0;
  for (let k = 1; k < x.length; k++) area += x[k - 1] * y[k] - x[k] * y[k - 1];
  assert.ok(Math.abs(Math.abs(area) / 2 - Math.PI * 20.3 ** 2) < 3);
});

test("a curve that leaves the field has two ends at its border", () => {
  const lines = contour(sampled((x) => x), 0.4);
  assert.equal(lines.length, 1);
  const [{ x, y }] = lines;
  assert.deepEqual([Math.min(...y), Math.max(...y)], [0, ROWS - 1]);
  const column = ((0.4 - WINDOW[0][0]) / (WINDOW[0][1] - WINDOW[0][0])) * (COLUMNS - 1);
  x.forEach((at) => assert.ok(Math.abs(at - column) < 1e-5));
  assert.deepEqual(contour(sampled((x) => x), 100), []);
});

test("values above a level have at least the share of the mass, and less without the last of them", () => {
  const field = sampled((x, y) => Math.exp(-x * x - 3 * y * y));
  const total = field.values.reduce((sum, value) => sum + value, 0);
  const shares = [0.25, 0.5, 0.75, 0.95];
  levelsOfMass(field, shares).forEach((level, k) => {
    /** @type {(is: (value: number) => boolean) => number} */
    const massOf = (is) => field.values.filter(is).reduce((sum, value) => sum + value, 0) / total;
    assert.ok(massOf((value) => value >= level) >= shares[k] - 1e-6);
    assert.ok(massOf((value) => value > level) < shares[k] + 1e-6);
  });
  assert.deepEqual(levelsOfMass(sampled(() => NaN), [0.5]), [Infinity]);
});

test("every cell has a line for each two changes of its corners, between corners that differ", () => {
  /** @type {Record<string, [number, number]>} */
  const sides = { "0.5,0": [0, 1], "1,0.5": [1, 2], "0.5,1": [3, 2], "0,0.5": [0, 3] };
  for (let code = 0; code < 16; code++) {
    const corners = [1, 2, 4, 8].map((bit) => Number(Boolean(code & bit))); // from below at the left, against the clock
    const values = Float32Array.of(corners[0], corners[1], corners[3], corners[2]);
    const lines = contour({ values, rows: 2, columns: 2 }, 0.5);
    const changes = corners.filter((one, k) => one !== corners[(k + 1) % 4]).length;
    assert.deepEqual(lines.map(({ x }) => x.length), Array(changes / 2).fill(2), String(corners));
    for (const { x, y } of lines) {
      x.forEach((at, k) => {
        const [a, b] = sides[`${at},${y[k]}`];
        assert.notEqual(corners[a], corners[b]);
      });
    }
  }
});
