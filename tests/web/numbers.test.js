import assert from "node:assert/strict";
import { test } from "node:test";
import { shown } from "../../app/web/canvas/numbers.js";
import { quantileOf } from "../../app/web/canvas/quantile.js";
import { fallOf } from "../../app/web/live/waterfall.js";

test("a number keeps three digits, and its sign as in print", () => {
  const said = { 0: "0", 1: "1", 0.25: "0.25", 3.14159: "3.14", 1234.5: "1230", 99999: "100000", "-2.5": "−2.5" };
  for (const [value, text] of Object.entries(said)) assert.equal(shown(Number(value)), text);
});

test("very small and very large ones have a power of ten", () => {
  assert.equal(shown(1e5), "1.0e+5");
  assert.equal(shown(-0.00012345), "−1.2e−4");
});

test("a quantile is that of NumPy, over what is finite", () => {
  const values = Float32Array.of(3, NaN, 1, 2, Infinity, 5, 4);
  assert.deepEqual([0, 0.6, 1].map((share) => quantileOf(values, share)), [1, 3.4, 5]);
  assert.equal(quantileOf(Float32Array.of(NaN), 0.5), 0);
});

test("the bars of a log density begin where the next one ends, from z to x", () => {
  const sum = /** @type {any} */ ({ actnorm: 1, log_dets: [0.5, -2], log_normal: -3 });
  assert.deepEqual(fallOf(sum), [
    { value: 1, from: -4.5, to: -3.5 }, { value: 0.5, from: -5, to: -4.5 }, { value: -2, from: -3, to: -5 },
  ]);
});
