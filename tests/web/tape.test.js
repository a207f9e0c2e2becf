import assert from "node:assert/strict";
import { test } from "node:test";
import { runner } from "../../app/web/flow/double.js";
import { tapeOf } from "../../app/web/flow/expression.js";
import { recorder } from "../../app/web/flow/tape.js";
import { randomNumbers } from "./small_flow.js";

test("the same step is recorded once, and what changes nothing is no step", () => {
  const o = recorder();
  const z = o.z();
  assert.equal(o.sin(o.add(z, o.number(1))), o.sin(o.add(z, o.number(1))));
  assert.equal(o.add(z, o.number(0)), z);
  assert.equal(o.multiply(o.number(1), z), z);
  assert.equal(o.multiply(z, o.number(0)), o.number(0));
  assert.notEqual(o.number(0), o.number(-0));
});

test("a name that every object has is no function", () => {
  for (const name of ["constructor", "toString", "__proto__"]) {
    assert.throws(() => tapeOf([name, "z"]), /unknown/);
  }
});

/**
 * A random formula, and what it is.
 *
 * @param {() => number} random
 * @param {number} depth
 * @returns {[any, (z: number) => number]}
 */
function grown(random, depth) {
  const kind = Math.floor(7 * random());
  if (!depth || kind === 0) {
    const number = 2 * random() - 1;
    return random() < 0.7 ? ["z", (z) => z] : [number, () => number];
  }
  const [a, f] = grown(random, depth - 1);
  const [b, g] = grown(random, depth - 1);
  return /** @type {[any, (z: number) => number][]} */ ([
    [["+", a, b], (z) => f(z) + g(z)], [["-", a, b], (z) => f(z) - g(z)], [["*", a, b], (z) => f(z) * g(z)],
    [["/", a, ["hyperbola", b]], (z) => f(z) / Math.hypot(1, g(z))], [["sin", a], (z) => Math.sin(f(z))],
    [["tanh", a], (z) => Math.tanh(f(z))],
  ])[kind - 1];
}

test("registers that are used again spoil no result: random formulas, and their slopes by differences", () => {
  const random = randomNumbers(5);
  for (let k = 0; k < 200; k++) {
    const [tree, known] = grown(random, 5);
    const z = Float64Array.from({ length: 9 }, () => 3 * random() - 1.5);
    const tape = tapeOf(tree);
    const { value, slope } = runner(tape, 9, true)(z, 9);
    const alone = runner(tape, 9, false)(z, 9);
    for (let i = 0; i < 9; i++) {
      const scale = 1 + Math.abs(known(z[i]));
      assert.ok(Math.abs(value[i] - known(z[i])) < 1e-12 * scale, JSON.stringify(tree));
      assert.equal(alone.value[i], value[i]);
      const step = 1e-5;
      const difference = (known(z[i] + step) - known(z[i] - step)) / (2 * step);
      assert.ok(Math.abs(slope[i] - difference) < 1e-5 * (1 + Math.abs(difference)) ** 2, JSON.stringify(tree));
    }
  }
});
