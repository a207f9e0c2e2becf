import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMessage } from "../../app/web/flow/message.js";

/**
 * @param {string} header
 * @param {number[]} numbers
 */
function encoded(header, numbers) {
  const padded = header.padEnd(Math.ceil((header.length + 4) / 8) * 8 - 4);
  const buffer = new ArrayBuffer(4 + padded.length + 4 * numbers.length);
  new DataView(buffer).setUint32(0, padded.length, true);
  new Uint8Array(buffer).set(new TextEncoder().encode(padded), 4);
  numbers.forEach((number, k) => {
    new DataView(buffer).setFloat32(4 + padded.length + 4 * k, number, true);
  });
  return buffer;
}

for (const extra of ["", "x", "xx", "xxxxxxx"]) {
  test(`a message with a header of ${extra.length} more bytes comes back`, () => {
    const { shape, numbers, run, step } = decodeMessage(
      encoded(JSON.stringify({ flow: { blocks: 3 }, run: `r${extra}`, step: 7 }), [1.5, -2, 3]),
    );
    assert.deepEqual([shape.blocks, run, step, [...numbers]], [3, `r${extra}`, 7, [1.5, -2, 3]]);
  });
}

test("what is no message is refused", () => {
  assert.throws(() => decodeMessage(new ArrayBuffer(16).slice(0)), /no flow/);
  const long = new ArrayBuffer(16);
  new DataView(long).setUint32(0, 1000, true);
  assert.throws(() => decodeMessage(long), /no flow/);
});
