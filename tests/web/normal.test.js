import assert from "node:assert/strict";
import { test } from "node:test";
import { logNormal } from "../../app/web/flow/normal.js";

test("the density of the standard normal integrates to 1", () => {
  let mass = 0;
  const step = 0.1;
  for (let i = -80; i <= 80; i++) for (let j = -80; j <= 80; j++) mass += Math.exp(logNormal(step * i, step * j));
  assert.ok(Math.abs(mass * step * step - 1) < 1e-12);
});
