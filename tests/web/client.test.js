import assert from "node:assert/strict";
import { test } from "node:test";
import { openEvaluator } from "../../app/web/flow/client.js";
import { messageOf, shapeOf } from "./small_flow.js";

/** @type {{window: [[number, number], [number, number]], columns: number, rows: number}} */
const GRID = { window: [[-3, 3], [-2, 2]], columns: 7, rows: 5 };

test("a flow is taken and answers, all of one step", async () => {
  const evaluator = openEvaluator();
  evaluator.take(messageOf(shapeOf(), 12));
  const noise = Float32Array.of(0.1, 0.2, -1, 0.5);
  const [density, stages, samples, terms] = await Promise.all([
    evaluator.density(GRID), evaluator.stages(noise), evaluator.samples(noise), evaluator.terms([0.5, -0.5]),
  ]);
  assert.deepEqual([density?.step, stages?.step, samples?.step, terms?.step], [12, 12, 12, 12]);
  assert.equal(density?.logProb.length, 35);
  assert.equal(density?.run, "r");
  assert.equal(stages?.count, 5);
  assert.equal(stages?.stages.length, 5 * 4);
  assert.equal(samples?.refusal, "");
  // The samples go where they came from.
  const there = await evaluator.stages(/** @type {any} */ (samples).points, 4);
  assert.equal(there?.stages.length, 4);
  there?.stages.forEach((value, i) => {
    assert.ok(Math.abs(value - noise[i]) < 1e-4);
  });
  const [ofPoint] = /** @type {any} */ (await evaluator.logProb(Float32Array.of(0.5, -0.5))).logProb;
  assert.ok(Math.abs(ofPoint - (terms?.logProb ?? 0)) < 1e-5);
  evaluator.close();
});

test("the newest weights win, and a request whose place is taken resolves to null", async () => {
  const evaluator = openEvaluator();
  for (let step = 0; step < 5; step++) evaluator.take(messageOf(shapeOf(), step, step));
  const asked = Array.from({ length: 4 }, () => evaluator.density(GRID));
  const found = await Promise.all(asked);
  assert.deepEqual(found.map((one) => one?.step ?? null), [null, null, null, 4]);
  // While one is under way, of those that wait the last remains.
  const first = evaluator.density(GRID);
  await Promise.resolve();
  evaluator.take(messageOf(shapeOf(), 5));
  const later = [evaluator.density(GRID), evaluator.density(GRID)];
  assert.deepEqual((await Promise.all([first, ...later])).map((one) => one?.step ?? null), [4, null, 5]);
  evaluator.close();
});

test("a flow with a formula that is unknown here is refused by its name", async () => {
  const evaluator = openEvaluator();
  evaluator.take(messageOf(shapeOf({ activation: { tree: ["sinh", "z"], arrangement: "in place" } }), 0));
  assert.equal(await evaluator.ready, null);
  assert.match(evaluator.refuses(), /sinh is unknown/);
  await assert.rejects(evaluator.density(GRID), /sinh is unknown/);
  evaluator.take(messageOf(shapeOf(), 4)); // another one may be taken
  assert.equal((await evaluator.density(GRID))?.step, 4);
  assert.equal(evaluator.refuses(), "");
  evaluator.close();
});

test("samples are refused with a reason, and an estimator without a closed form too", async () => {
  const evaluator = openEvaluator();
  evaluator.take(messageOf(shapeOf({ bounds: [0.9, 1.5, 0.9] }), 0));
  const samples = await evaluator.samples(Float32Array.of(0, 0));
  assert.match(samples?.refusal ?? "", /Block 2 has the certified bound 1.5/);
  assert.equal(samples?.points.length, 0);
  const estimator = { is: "roulette", probe: "gaussian", n_draws: 2, law: { is: "geometric", p: 0.5, n_exact: 3 } };
  await assert.rejects(evaluator.belief({ ...GRID, estimator }), /no closed form/);
  evaluator.close();
});

test("what waits when an evaluator is closed resolves to null, and others go on", async () => {
  const [closed, open] = [openEvaluator(), openEvaluator()];
  for (const evaluator of [closed, open]) evaluator.take(messageOf(shapeOf(), 1));
  const asked = closed.density(GRID);
  closed.close();
  assert.equal(await asked, null);
  assert.equal(await closed.density(GRID), null);
  assert.equal((await open.density(GRID))?.step, 1);
  open.close();
});
