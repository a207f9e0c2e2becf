import assert from "node:assert/strict";
import { test } from "node:test";
import { shown } from "../../app/web/canvas/numbers.js";

/** @type {(text: string) => number} */
const read = (text) => Number(text.replaceAll("−", "-"));

test("a number keeps three digits, and its sign as in print", () => {
  const said = { 0: "0", 1: "1", 0.25: "0.25", 3.14159: "3.14", 1234.5: "1230", 99999: "100000", "-2.5": "−2.5" };
  for (const [value, text] of Object.entries(said)) assert.equal(shown(Number(value)), text);
});

test("very small and very large ones have a power of ten", () => {
  assert.equal(shown(1e5), "1.0e+5");
  assert.equal(shown(-0.00012345), "−1.2e−4");
});

test("what is read of it is the number, to its last digit", () => {
  for (let exponent = -12; exponent <= 12; exponent++) {
    for (const digits of [1.004, 2.345, 5.555, 9.994]) {
      const value = digits * 10 ** exponent;
      assert.ok(Math.abs(read(shown(value)) / value - 1) < (value < 1e-3 || value >= 1e5 ? 0.05 : 0.005), shown(value));
    }
  }
});
