import assert from "node:assert/strict";
import { test } from "node:test";
import { atProbe, eigenvaluesOf } from "../../app/web/live/point.js";

test("eigenvalues have the trace and the determinant of their matrix", () => {
  for (const entries of [[0.45, 0.3, -0.25, 0.2], [1, 2, 3, -4], [0, 1, -1, 0], [2, 0, 0, 2]]) {
    const [a, b, c, d] = entries;
    const [p, q, r, s] = eigenvaluesOf(entries);
    assert.ok(Math.abs(p + r - (a + d)) < 1e-12 && Math.abs(q + s) < 1e-12);
    assert.ok(Math.abs(p * r - q * s - (a * d - b * c)) < 1e-12);
  }
});

const TERMS = {
  x: [1, 2], step: 4, run: "a:0", blocks: 1, logProb: -3, logNormal: -2, logDets: Float64Array.of(-0.5), actnorm: -0.5,
  jacobians: Float64Array.of(0.5, 0, 0, -0.25), path: Float64Array.of(1, 2, 1.5, 2, Infinity, 4),
};
const MEASURED = { x: [1, 2], step: 4, log_prob: -3.0001, means: [-0.6], deviations: [0.1], true_log_prob: -2.5 };
/**
 * As much of a view as a point needs.
 * @type {(more: Record<string, unknown>) => any}
 */
const view = (more) => ({ probe: { x: [1, 2], at: null }, picture: { terms: TERMS }, time: { shown: null }, ...more });

test("the browser's terms come at once, and beside them what the server has measured", () => {
  const alone = atProbe(view({}));
  assert.deepEqual([alone?.isOwn, alone?.log_prob, alone?.server, alone?.true_log_prob], [true, -3, null, null]);
  assert.deepEqual([alone?.radii, alone?.path], [[0.5], [[1, 2], [1.5, 2], [null, 4]]]);
  const both = view({ probe: { x: [1, 2], at: MEASURED } });
  assert.equal(atProbe(both)?.server, MEASURED);
  assert.equal(atProbe(both), atProbe(both), "nothing is new");
  assert.equal(atProbe(both)?.true_log_prob, -2.5);
});

test("the server's come alone where the browser has none, and neither of another point", () => {
  const server = atProbe(view({ probe: { x: [1, 2], at: MEASURED }, picture: { terms: null } }));
  assert.deepEqual([server?.isOwn, server?.log_prob, server?.server], [false, -3.0001, MEASURED]);
  assert.equal(atProbe(view({ probe: { x: [1, 3], at: MEASURED } })), null);
  assert.equal(atProbe(view({ probe: { x: null, at: MEASURED } })), null);
});

test("of an earlier moment the server has measured nothing but the truth", () => {
  const past = atProbe(view({ probe: { x: [1, 2], at: MEASURED }, time: { shown: { step: 2 } } }));
  assert.deepEqual([past?.isOwn, past?.server, past?.true_log_prob], [true, null, -2.5]);
  assert.equal(atProbe(view({ probe: { x: [1, 2], at: MEASURED }, picture: {}, time: { shown: { step: 2 } } })), null);
});
