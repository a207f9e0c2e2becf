import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf, filmOf, keepMoment, keepNumbers, nearest, newFilm } from "../../app/web/live/film.js";

const DEFAULT_BYTES = 16_568; // of the default flow's weights with their header
const moment = (/** @type {number} */ step, bytes = DEFAULT_BYTES) =>
  ({ run: "a:0", step, weights: new ArrayBuffer(bytes) });
const readout = (/** @type {number} */ step) => ["gap", "mass", "believed"].map((name) => ({
  name, step, help: "x".repeat(200), value: "0.1234", label: "Mass that training believes in", error: "0.0123",
  unit: "nats, standardised", word: "overfitting", note: "step 123,456; 97.9 % in the window",
}));

test("a long run of the default flow keeps 200 moments, evenly, in 3.5 MB", () => {
  const film = newFilm();
  for (let step = 0; step < 3000; step += 3) {
    keepMoment(film, moment(step));
    keepNumbers(film, readout(step));
  }
  const steps = film.moments.map((one) => one.step);
  assert.equal(steps.length, 200);
  assert.ok(bytesOf(film) <= 3.5e6);
  assert.deepEqual([steps[0], steps.at(-1)], [0, 2997]);
  const gaps = steps.slice(1).map((step, k) => step - steps[k]);
  assert.ok(Math.max(...gaps) <= 3 * (2997 / steps.length));
});

test("a branch begins with the film up to its moment, and goes on alone", () => {
  const film = filmOf("old:0");
  for (const step of [0, 10, 20, 30]) {
    keepMoment(film, moment(step));
    keepNumbers(film, readout(step));
  }
  const branch = filmOf("new:0", { run: "old:0", step: 20 });
  assert.deepEqual(branch.moments.map((one) => one.step), [0, 10, 20]);
  assert.equal(branch.moments[1], film.moments[1], "they share it");
  assert.deepEqual(branch.numbers.gap.map(({ step }) => step), [0, 10, 20]);
  keepMoment(branch, moment(25));
  assert.deepEqual(film.moments.map((one) => one.step), [0, 10, 20, 30]);
  assert.equal(filmOf("new:0"), branch);
  assert.deepEqual(filmOf("other:0", { run: "never:0", step: 5 }).moments, []);
});

test("of a list the nearest is found", () => {
  assert.equal(nearest([{ step: 0 }, { step: 10 }, { step: 20 }], 14), 1);
  assert.equal(nearest([], 3), -1);
});
