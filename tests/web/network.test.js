import assert from "node:assert/strict";
import { test } from "node:test";
import { asked, changesIn, nameOf, origin, parameter, textOf, trained } from "../../app/web/network/names.js";
import { endsOf, gripOf, nearest, placed } from "../../app/web/network/places.js";

const SIZES = [2, 3, 2];
/** Two inputs, three units of which the activation makes six numbers, and two outputs. @type {any} */
const view = {
  scene: { sizes: SIZES, layers: [{ bias: [0.1, 0.2, 0.3] }, { bias: [-1, -2] }] },
  lines: new Map([["w1.3.2", { ...parameter("w1.3.2"), trained: 0.5, wide: 2 }]]),
  changes: changesIn("w2.1.4=7 r1.3=2 b2.2=4"),
  at: placed(/** @type {any} */ ({ sizes: SIZES }), 300, 200),
};

test("parameters have names that count from 1, and changes come back from their text", () => {
  assert.deepEqual(parameter("w2.1.4"), { kind: "weight", layer: 1, row: 0, column: 3 });
  for (const name of ["w2.1.4", "b1.3", "r1.2"]) assert.equal(nameOf(parameter(name)), name);
  assert.equal(textOf(view.changes), "w2.1.4=7 r1.3=2 b2.2=4");
  assert.equal(origin(view.scene, 1, 3), "unit 1, copy 2");
});

test("a weight is asked to be what it was trained to, times its row, unless it is changed itself", () => {
  assert.deepEqual(["w1.3.2", "b1.2", "r1.3"].map((name) => trained(view, name)), [0.5, 0.2, 1]);
  assert.deepEqual(["w1.3.2", "w2.1.4", "r1.3", "r1.1", "b1.2", "b2.2"].map((name) => asked(view, name)),
    [1, 7, 2, 1, 0.2, 4]);
  assert.equal(asked(view, "w1.1.1"), null, "a weight that was not sent");
});

test("a hand means the unit that it is on, else the nearest line", () => {
  const [x0, y0, x1, y1] = endsOf(view, parameter("w1.3.2"));
  assert.deepEqual([[x0, y0], [x1, y1]], [view.at.places[0][1], view.at.places[1][2]]);
  assert.deepEqual(gripOf(view, "w1.3.2"), [(x0 + x1) / 2, (y0 + y1) / 2]);
  assert.equal(nearest(view, gripOf(view, "w1.3.2"), "mouse"), "w1.3.2");
  assert.equal(nearest(view, gripOf(view, "b1.2"), "mouse"), "b1.2");
  assert.equal(nearest(view, [x0 + 20, 195], "mouse"), null);
});
