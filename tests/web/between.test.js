import assert from "node:assert/strict";
import { test } from "node:test";
import { densities, expectedBetween, mixed, shareAt } from "../../app/web/flow/between.js";

test("numbers are mixed, and those that do not fit are taken as they are", () => {
  const [a, b] = [Float32Array.of(0, 2), Float32Array.of(4, 4)];
  assert.deepEqual([...mixed(a, b, 0.25)], [1, 2.5]);
  assert.deepEqual([...mixed(a, b, 0)], [...a]);
  assert.deepEqual([...mixed(a, b, 1)], [...b]);
  assert.deepEqual([...mixed(a, Float32Array.of(1, 2, 3), 0.5)], [1, 2, 3]);
  const out = new Float32Array(2);
  assert.equal(mixed(a, b, 0.5, out), out);
});

test("a picture is reached when the next is expected", () => {
  assert.deepEqual([0, 50, 100, 300].map((now) => shareAt(now, 0, 100)), [0, 0.5, 1, 1]);
  assert.equal(shareAt(5, 5, 0), 1);
  let between = 0;
  for (let k = 0; k < 50; k++) between = expectedBetween(between, 80);
  assert.ok(Math.abs(between - 80) < 1e-9);
});

test("densities are per unit area", () => {
  const [one, three] = densities(Float32Array.of(0, Math.log(3)), 2);
  assert.equal(one, 0.5);
  assert.ok(Math.abs(three - 1.5) < 1e-6);
});
