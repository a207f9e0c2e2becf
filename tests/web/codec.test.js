import assert from "node:assert/strict";
import { test } from "node:test";
import { unpacked } from "../../app/web/canvas/unpack.js";
import { decode, fieldOf } from "../../app/web/live/decode.js";

/** @import { Packed } from "../../app/web/canvas/types.js" */

/** @type {(dtype: Packed["dtype"], shape: number[], array: Uint8Array | Uint16Array | Float32Array) => Packed} */
const packed = (dtype, shape, array) => ({
  dtype,
  shape,
  base64: Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64"),
});

test("arrays come back as they were packed, little end first", () => {
  assert.deepEqual(unpacked(packed("uint8", [3], Uint8Array.of(0, 128, 255))), Uint8Array.of(0, 128, 255));
  assert.deepEqual(unpacked({ dtype: "uint16", shape: [2], base64: Buffer.from([1, 2, 255, 255]).toString("base64") }),
    Uint16Array.of(0x0201, 0xffff));
  const floats = Float32Array.of(0, -1.5, Infinity, NaN);
  assert.deepEqual(unpacked(packed("float32", [4], floats)), floats);
});

test("an array is decoded once", () => {
  const one = packed("uint16", [2], Uint16Array.of(7, 8));
  assert.equal(decode(one), decode(one));
});

test("a grid is told as shares of its largest value", () => {
  const field = fieldOf(packed("uint16", [1, 3], Uint16Array.of(0, 13107, 65535)), 5);
  assert.deepEqual([field.rows, field.columns], [1, 3]);
  assert.deepEqual([...field.values].map((value) => Number(value.toFixed(5))), [0, 1, 5]);
});
