// Packed arrays -> numbers.

import { unpacked } from "../canvas/unpack.js";

const decoded = new WeakMap();

/** The typed array of a packed one; each is decoded once, and one that is kept has it (`film.js`). */
export function decode(packed) {
  if (packed.array) return packed.array;
  if (!decoded.has(packed)) decoded.set(packed, unpacked(packed));
  return decoded.get(packed);
}

/** A packed grid of shares of its largest value as a field. */
export function fieldOf(packed, largest) {
  const [rows, columns] = packed.shape;
  const unit = largest / 65535;
  return { values: Float32Array.from(decode(packed), (v) => v * unit), rows, columns };
}
