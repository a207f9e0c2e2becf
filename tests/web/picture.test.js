import assert from "node:assert/strict";
import { test } from "node:test";
import {
  mixed, mixedDensity, mixedWayAt, pictureOfFrame, placesOf, polyline, topOf, wayAt,
} from "../../app/web/live/picture.js";

const packed = (/** @type {number[]} */ numbers, /** @type {number[]} */ shape) => {
  const bytes = Buffer.from(Float32Array.from(numbers).buffer);
  return { dtype: /** @type {const} */ ("float32"), shape, base64: bytes.toString("base64") };
};
const field = (/** @type {number[]} */ values) => ({ values: Float32Array.from(values), rows: 2, columns: 2 });
const density = (/** @type {number[]} */ values, top = 1) => ({ field: field(values), top, part: null });
const ways = (/** @type {number} */ first, /** @type {number[]} */ points, count = 1) =>
  ({ first, count, points: Float32Array.from(points), lines: new Float32Array(4 * count), linePoints: 2 });

test("between two pictures the mass is that of both, and what comes from nowhere is there at once", () => {
  const [from, to] = [Float32Array.of(1, NaN, 3), Float32Array.of(3, 2, 1)];
  assert.deepEqual([...mixed(from, to, 0.25)], [1.5, 2, 2.5]);
  assert.equal(mixed(from, to, 1), to);
  assert.equal(mixed(Float32Array.of(1), to, 0.5), to, "other numbers than before");
  const between = mixedDensity(density([0, 1, 2, 3], 4), density([6, 3, 0, 3], 1), 0.5);
  assert.deepEqual([...between.field.values], [3, 2, 1, 3]);
  assert.equal(between.top, 2);
});

test("every depth is between its stages, and those that are not known are the nearest that is", () => {
  const all = ways(0, [0, 0, 2, 4, 10, 10], 3);
  assert.deepEqual([...wayAt(all, 0.5).points], [1, 2]);
  assert.deepEqual([...wayAt(all, 2).points], [10, 10]);
  assert.deepEqual([wayAt(all, 7).at, ...wayAt(all, 7).points], [2, 10, 10]);
  const own = ways(3, [5, 6]);
  assert.deepEqual([wayAt(own, 0).at, ...wayAt(own, 0).points], [3, 5, 6]);
  assert.deepEqual([...mixedWayAt(ways(3, [1, 2]), own, 3, 0.5).points], [3, 4]);
  assert.deepEqual([...mixedWayAt(ways(2, [1, 2]), own, 3, 0.5).points], [5, 6], "another depth is no beginning");
});

test("a frame of the server's becomes a picture", () => {
  const frame = {
    step: 7, density: packed([0.5, 0.5, 0.5, 0.5], [2, 2]), latent: packed([1, 2], [1, 2]),
    grid: packed([3, 4, 5, 6], [1, 2, 2]), samples: packed([7, 8], [1, 2]), depth: null,
  };
  const picture = pictureOfFrame(frame, { blocks: 2 });
  assert.deepEqual([picture.density.field.values[1], picture.density.field.rows, picture.density.top], [0.5, 2, 0.5]);
  assert.deepEqual([picture.ways?.first, picture.ways?.count, picture.ways?.linePoints], [3, 1, 2]);
  assert.deepEqual([...(picture.ways?.lines ?? [])], [3, 4, 5, 6]);
  assert.deepEqual([...(picture.samples ?? [])], [7, 8]);
  const other = pictureOfFrame({ ...frame, samples: null, depth: 1 }, { blocks: 2 });
  assert.deepEqual([other.samples, other.ways?.first], [null, 1]);
});

test("colours end at a quantile of what is finite", () => {
  const values = Float32Array.from({ length: 1001 }, (_, i) => (i === 1000 ? Infinity : i));
  assert.ok(Math.abs(topOf({ values, rows: 1, columns: 1001 }) - 0.995 * 999) < 1e-2);
  assert.equal(topOf({ values: Float32Array.of(NaN), rows: 1, columns: 1 }), 0);
});

test("places are in the units of axes, and lines have gaps between them", () => {
  const { x, y } = placesOf(Float32Array.of(1, 2), [{ centre: 10, scale: 2 }, { centre: 0, scale: 0.5 }]);
  assert.deepEqual([x[0], y[0]], [12, 1]);
  const lines = polyline(Float32Array.from({ length: 12 }, (_, i) => i), 3);
  assert.deepEqual([...lines.x], [0, 2, 4, NaN, 6, 8, 10, NaN]);
  assert.deepEqual([...polyline(Float32Array.from({ length: 12 }, (_, i) => i), 3, 2).y], [1, 5, NaN, 7, 11, NaN]);
});
