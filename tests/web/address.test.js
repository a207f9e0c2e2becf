import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { viewInAddress, writeView } from "../../app/web/canvas/address.js";

test("what is shown is written in place, in a moment, and read at once", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  /** @type {string[]} */
  const written = [];
  Object.assign(globalThis, {
    location: { pathname: "/explore", search: "?seed=3&view.zoom=data", hash: "#here" },
    history: { state: 7, replaceState: (/** @type {unknown} */ _, __ = "", address = "") => written.push(address) },
    addEventListener: () => {},
  });
  assert.equal(viewInAddress("view.zoom"), "data");
  assert.equal(viewInAddress("view.depth"), null);
  writeView({ "view.depth": "4" });
  writeView({ "view.zoom": null, "view.depth": "5" });
  assert.equal(viewInAddress("view.depth"), "5");
  assert.equal(viewInAddress("view.zoom"), null);
  assert.deepEqual(written, []);
  mock.timers.tick(1000);
  assert.deepEqual(written, ["/explore?seed=3&view.depth=5#here"]);
  writeView({ "view.zoom": "data" });
  mock.timers.tick(1000);
  assert.equal(written.length, 1, "an address that stays is not written again");
});
