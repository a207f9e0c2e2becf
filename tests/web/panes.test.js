import assert from "node:assert/strict";
import { test } from "node:test";
import { quantileOf } from "../../app/web/canvas/quantile.js";
import { gridPoints } from "../../app/web/flow/evaluate.js";
import { rowsOf, samePlace } from "../../app/web/planes/places.js";
import { movingSide, nextWork, rowsAtATime, sharpSide } from "../../app/web/planes/wanted.js";

/** @import { Has, Needs } from "../../app/web/planes/wanted.js" */
/** @import { Window } from "../../app/web/canvas/types.js" */

/** @type {Window} */
const WHOLE = [[-4, 4], [-3, 5]];
/** @type {Window} */
const PART = [[0, 1], [1, 2]];
/** @type {Has} */
const NOTHING = { flow: "", ranges: null, side: 0, topOf: "", samplesOf: "" };
const QUICK = { milliseconds: 2 };

/** @param {Partial<Needs>} given @returns {Needs} */
const needs = (given = {}) => ({
  flow: "a", density: true, ranges: WHOLE, whole: null, samples: 0, mayBeSharp: true, pixels: 300, ...given,
});

test("a coarse picture comes first, a sharp one as soon as nothing moves, and then nothing", () => {
  const moving = movingSide(QUICK);
  assert.equal(moving, 60);
  assert.deepEqual(nextWork(needs(), NOTHING, QUICK), {
    density: true, side: moving, isSharp: false, top: false, samples: false,
  });
  const coarse = { ...NOTHING, flow: "a", ranges: WHOLE, side: moving };
  assert.equal(nextWork(needs({ mayBeSharp: false }), coarse, QUICK), null);
  const sharp = nextWork(needs(), coarse, QUICK);
  assert.equal(sharp?.isSharp, true);
  assert.equal(sharp?.side, 300);
  assert.equal(nextWork(needs(), { ...coarse, side: 300 }, QUICK), null);
});

test("other weights and another zoom are drawn anew, coarsely at first", () => {
  const all = { ...NOTHING, flow: "a", ranges: WHOLE, side: 300 };
  for (const given of [{ flow: "b" }, { ranges: PART }]) {
    const work = nextWork(needs(given), all, QUICK);
    assert.deepEqual([work?.density, work?.side, work?.isSharp], [true, 60, false]);
  }
  // The same part of the plane, as another array.
  assert.equal(nextWork(needs({ ranges: [[-4, 4], [-3, 5]] }), all, QUICK), null);
});

test("where colours end is found in the whole, for which a zoomed picture is not enough", () => {
  const has = { ...NOTHING, flow: "a", ranges: PART, side: 300 };
  assert.equal(nextWork(needs({ ranges: PART, whole: WHOLE }), has, QUICK)?.top, true);
  assert.equal(nextWork(needs({ ranges: PART, whole: WHOLE }), { ...has, topOf: "a" }, QUICK), null);
  assert.equal(nextWork(needs({ whole: WHOLE }), NOTHING, QUICK)?.top, false);
});

test("samples are drawn once for each weights, whatever the zoom", () => {
  const wanted = needs({ density: false, samples: 500 });
  assert.deepEqual(nextWork(wanted, NOTHING, QUICK)?.samples, true);
  const has = { ...NOTHING, samplesOf: "a" };
  assert.equal(nextWork({ ...wanted, ranges: PART }, has, QUICK), null);
  assert.equal(nextWork({ ...wanted, flow: "b" }, has, QUICK)?.samples, true);
});

test("a slow machine has fewer nodes, and none fewer than 40 x 40 or, at rest, 120 x 120", () => {
  assert.equal(movingSide({ milliseconds: 200 }), 40);
  assert.equal(movingSide(null), 60);
  assert.equal(sharpSide({ milliseconds: 200 }, 800), 120);
  assert.equal(sharpSide({ milliseconds: 20 }, 800), Math.round(40 * Math.sqrt(30)));
  assert.equal(sharpSide({ milliseconds: 0.1 }, 800), 400);
  assert.equal(sharpSide({ milliseconds: 0.1 }, 100), 120);
});

test("the rows of a sharp picture take about as long on every machine, and are the rows of the whole", () => {
  for (const milliseconds of [0.1, 3, 30, 240]) {
    for (const side of [120, 400]) {
      const rows = rowsAtATime({ milliseconds }, side);
      assert.ok(rows >= 1 && rows <= side);
      const took = (milliseconds * side * rows) / 1600;
      assert.ok(took <= 40 || rows === 1);
      assert.ok(took > 20 || rows === side || rows < 3);
    }
  }
  const whole = gridPoints(WHOLE, 3, 7);
  for (const [from, count] of [[0, 3], [3, 1], [4, 3]]) {
    const rows = gridPoints(rowsOf(WHOLE, 7, from, count), 3, count);
    rows.forEach((value, i) => {
      assert.ok(Math.abs(value - whole[2 * 3 * from + i]) < 1e-12);
    });
  }
});

test("parts of the plane are the same if all their ends are", () => {
  assert.ok(samePlace(WHOLE, [[-4, 4], [-3, 5]]));
  assert.ok(!samePlace(WHOLE, [[-4, 4], [-3, 5.1]]));
});

test("a quantile is that of NumPy, over what is finite", () => {
  const values = Float32Array.of(3, NaN, 1, 2, Infinity, 5, 4);
  assert.equal(quantileOf(values, 0), 1);
  assert.equal(quantileOf(values, 1), 5);
  assert.equal(quantileOf(values, 0.6), 3.4); // numpy.quantile([1, 2, 3, 4, 5], 0.6)
  assert.equal(quantileOf(Float32Array.of(NaN), 0.5), 0);
});
