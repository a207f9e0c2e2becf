import assert from "node:assert/strict";
import { test } from "node:test";
import { continued, LINE_POINTS, missing, SHARP, sharper, wholeOf } from "../../app/web/live/wanted.js";

/** @typedef {import("../../app/web/live/wanted.js").Needs} Needs */
/** @typedef {import("../../app/web/live/picture.js").Picture} Picture */
/** @typedef {[[number, number], [number, number]]} Window */

const WINDOW = /** @type {Window} */ ([[-4, 4], [-4, 4]]);
const PART = /** @type {Window} */ ([[0, 1], [1, 2]]);
/** @type {Needs} */
const NEEDS = {
  window: WINDOW, part: null, ways: true, samples: false, believed: false, believedBy: "null", point: null,
};
const grid = (/** @type {number} */ side) => ({ values: new Float32Array(side * side), rows: side, columns: side });

/** @param {Partial<Picture>} more @returns {Picture} */
const picture = (more) => ({
  step: 1, density: { field: grid(40), top: 1, part: null }, believed: null, samples: null, refusal: "", terms: null,
  ways: { first: 0, count: 3, points: new Float32Array(6), lines: new Float32Array(6), linePoints: LINE_POINTS.moving },
  ...more,
});

test("a flow that was not seen yet is asked for all that is to be seen, coarse", () => {
  const wants = missing({ ...NEEDS, part: PART, samples: true, point: [1, 2] }, null, 40);
  assert.deepEqual(wants?.densities.map(({ kind, columns, rows }) => [kind, columns, rows]),
    [["part", 40, 40], ["whole", 40, 40]]);
  assert.deepEqual([wants?.linePoints, wants?.samples, wants?.point], [LINE_POINTS.moving, true, [1, 2]]);
});

test("what nobody looks at is not asked for", () => {
  const wants = missing({ ...NEEDS, ways: false }, null, 40);
  assert.deepEqual([wants?.linePoints, wants?.samples, wants?.point], [0, false, null]);
  assert.equal(missing(NEEDS, picture({}), 40), null);
});

test("only what a picture lacks is asked for", () => {
  const had = picture({ terms: /** @type {any} */ ({ x: [1, 2] }), refusal: "A bound is not below 1." });
  assert.equal(missing({ ...NEEDS, samples: true, point: [1, 2] }, had, 40), null);
  assert.deepEqual(missing({ ...NEEDS, point: [1, 3] }, had, 40)?.point, [1, 3]);
  const kinds = (/** @type {Needs} */ needs) => missing(needs, had, 40)?.densities.map(({ kind }) => kind);
  assert.deepEqual(kinds({ ...NEEDS, part: PART }), ["part"]);
  assert.deepEqual(kinds({ ...NEEDS, part: PART, believed: true }), ["part", "believed part", "believed"]);
  const part = { window: PART, field: grid(40) };
  const close = picture({ density: { field: grid(40), top: 1, part } });
  assert.equal(missing({ ...NEEDS, part: PART }, close, 40), null);
  const other = missing({ ...NEEDS, part: [[0, 1], [1, 3]] }, close, 40);
  assert.deepEqual(other?.densities.map(({ kind }) => kind), ["part"]);
});

test("a picture that stays becomes sharp, piece by piece: lines, what is looked at, the rest", () => {
  const needs = { ...NEEDS, part: PART };
  const part = { window: PART, field: grid(40) };
  let seen = picture({ density: { field: grid(40), top: 1, part } });
  assert.equal(sharper(needs, seen, null, 10)?.linePoints, LINE_POINTS.still);
  seen = { ...seen, ways: seen.ways && { ...seen.ways, linePoints: LINE_POINTS.still } };
  /** @type {import("../../app/web/live/wanted.js").Sharpening | null} */
  let begun = null;
  const rows = [];
  for (let asked = sharper(needs, seen, begun, 77); asked; asked = sharper(needs, seen, begun, 77)) {
    const [nodes] = asked.densities;
    assert.equal(nodes.kind, "part");
    const [y0, y1] = nodes.window[1];
    for (let row = 0; row < nodes.rows; row++) rows.push(y0 + ((y1 - y0) * row) / Math.max(1, nodes.rows - 1));
    const values = new Float32Array(nodes.rows * nodes.columns).fill(rows.length);
    begun = continued(begun, wholeOf(needs, "part"), values);
    if (begun.rows === SHARP) break;
  }
  assert.equal(rows.length, SHARP);
  for (const [k, y] of rows.entries()) assert.ok(Math.abs(y - (1 + k / (SHARP - 1))) < 1e-9);
  assert.deepEqual([begun?.values[0], begun?.values[SHARP * SHARP - 1]], [77, 200]);
  const field = { values: begun?.values ?? new Float32Array(0), rows: SHARP, columns: SHARP };
  seen = picture({ ways: seen.ways, density: { field: grid(40), top: 1, part: { window: PART, field } } });
  assert.equal(sharper(needs, seen, null, 10)?.densities[0].kind, "whole");
  seen = picture({ ways: seen.ways, density: { field: grid(SHARP), top: 1, part: { window: PART, field } } });
  assert.equal(sharper(needs, seen, null, 10), null);
});

test("a part in the making is given up for another one", () => {
  const begun = continued(null, { kind: "part", window: PART }, new Float32Array(3 * SHARP).fill(1));
  const other = /** @type {Window} */ ([[0, 2], [0, 2]]);
  assert.equal(continued(begun, { kind: "part", window: PART }, new Float32Array(SHARP)).rows, 4);
  assert.equal(continued(begun, { kind: "part", window: other }, new Float32Array(SHARP)).rows, 1);
  assert.equal(continued(begun, { kind: "whole", window: PART }, new Float32Array(SHARP)).rows, 1);
});
