// Packed arrays -> numbers.

import { unpacked } from "../canvas/unpack.js";

/** @import { Field, Packed } from "../canvas/types.js" */

/** @typedef {ReturnType<typeof unpacked>} Raw */

/** @type {WeakMap<Packed, Raw>} */
const decoded = new WeakMap();

/**
 * The typed array of a packed one; each is decoded once, and one that is kept has it (`film.js`).
 * @type {(packed: Packed & { array?: Raw }) => Raw}
 */
export function decode(packed) {
  if (packed.array) return packed.array;
  const array = decoded.get(packed) ?? unpacked(packed);
  decoded.set(packed, array);
  return array;
}

/** @type {(packed: Packed) => Float32Array} */
export const decodeFloats = (packed) => /** @type {Float32Array} */ (decode(packed));

/**
 * A packed grid of shares of its largest value as a field.
 * @type {(packed: Packed, largest: number) => Field}
 */
export function fieldOf(packed, largest) {
  const [rows, columns] = packed.shape;
  const unit = largest / 65535;
  return { values: Float32Array.from(decode(packed), (v) => v * unit), rows, columns };
}
