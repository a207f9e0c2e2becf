import assert from "node:assert/strict";
import { test } from "node:test";
import { logTicksOf, ticksOf } from "../../app/web/canvas/ticks.js";

/** @import { Range } from "../../app/web/canvas/types.js" */

/** @type {Range[]} */
const SIDES = [[0, 1], [-4.4, 4.4], [0, 0.0437], [3.37, 3.52], [-1e-9, 2e-9], [-3e8, 5e8], [99.98, 100.01]];

test("ticks are equally far apart, within the axis, and no more than wanted", () => {
  for (const side of SIDES) {
    for (const wanted of [4, 6]) {
      const ticks = ticksOf(side, wanted);
      const slack = 1e-5 * (side[1] - side[0]);
      assert.ok(ticks.length >= 2 && ticks.length <= wanted + 1, `${side}: ${ticks.length} of ${wanted}`);
      const step = ticks[1].value - ticks[0].value;
      ticks.forEach(({ value }, k) => {
        assert.ok(value >= side[0] - slack && value <= side[1] + slack);
        assert.ok(Math.abs(value - ticks[0].value - k * step) < 1e-9 * Math.abs(step) + 1e-12 * Math.abs(value));
      });
      const first = step / 10 ** Math.floor(Math.log10(step) + 1e-9);
      assert.ok([1, 2, 5, 10].some((m) => Math.abs(first - m) < 1e-5), `${side}: steps of ${step}`);
    }
  }
});

test("ticks of logarithms stand at the numbers that they name", () => {
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  /** @type {(text: string) => number} */
  const read = (text) => {
    const power = text.match(/^10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)$/)?.[1];
    if (!power) return Math.log10(Number(text.replaceAll("−", "-")));
    return Number([...power].map((sign) => (sign === "⁻" ? "-" : digits.indexOf(sign))).join(""));
  };
  /** @type {Range[]} */
  const sides = [[-20.95, -0.05], [-2, 2], [0.1, 0.9], [-3.2, -2.1], [2.3, 2.5], [5, 9]];
  for (const side of sides) {
    const ticks = logTicksOf(side, 5);
    assert.ok(ticks.length >= 2, String(side));
    for (const { value, text } of ticks) {
      assert.ok(value >= side[0] - 1e-9 && value <= side[1] + 1e-9);
      assert.ok(Math.abs(read(text) - value) < 0.03, `${text} at ${value}`);
    }
  }
});
