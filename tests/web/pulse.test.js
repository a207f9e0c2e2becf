import assert from "node:assert/strict";
import { test } from "node:test";
import { newPulse, pulseAt } from "../../app/web/live/pulse.js";

/** @param {import("../../app/web/live/pulse.js").Pulse} pulse @param {number} apart @param {number} frames */
function after(pulse, apart, frames) {
  let found = pulse;
  for (let k = 0; k < frames; k++) found = pulseAt(found, found.at + apart);
  return found;
}

test("a page that paints in time draws both planes, and one that does not lets them take turns", () => {
  const begun = { ...newPulse(), at: 1000 };
  assert.equal(after(begun, 16.7, 300).isTight, false);
  const tight = after(begun, 30, 20);
  assert.equal(tight.isTight, true);
  assert.deepEqual([tight.count % 2, after(tight, 30, 1).count % 2], [0, 1], "turn by turn");
});

test("one late frame is no reason, nor is a pause", () => {
  const begun = { ...newPulse(), at: 1000 };
  assert.equal(after(after(begun, 16.7, 60), 40, 1).isTight, false);
  assert.equal(after(begun, 5000, 3).isTight, false);
});

test("after a long time in which all came in time both planes are tried again", () => {
  const tight = after({ ...newPulse(), at: 1000 }, 40, 30);
  assert.equal(after(tight, 16.7, 60).isTight, true);
  assert.equal(after(tight, 16.7, 300).isTight, false);
});
