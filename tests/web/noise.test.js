import assert from "node:assert/strict";
import { test } from "node:test";
import { noiseOf } from "../../app/web/flow/noise.js";

test("the noise is that of a standard normal, and always the same", () => {
  const noise = noiseOf(20_000);
  const mean = noise.reduce((sum, value) => sum + value, 0) / noise.length;
  const moment = (/** @type {number} */ power) => noise.reduce((sum, value) => sum + value ** power, 0) / noise.length;
  assert.ok(Math.abs(mean) < 0.02);
  assert.ok(Math.abs(moment(2) - 1) < 0.03);
  assert.ok(Math.abs(moment(4) - 3) < 0.2);
  let product = 0;
  for (let i = 0; i < noise.length; i += 2) product += noise[i] * noise[i + 1];
  assert.ok(Math.abs(product / 20_000) < 0.03);
  assert.equal(noiseOf(20_000), noise);
  assert.deepEqual([...noiseOf(4)], [...noiseOf(500).slice(0, 8)], "more draws begin with the same");
});
