// Packed arrays -> numbers.

import { unpacked } from "../canvas/unpack.js";

/** @import { Field, Packed, Window } from "../canvas/types.js" */

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

/**
 * Raw positions at place `at` of packed stages; between two stages a mixture of both.
 * @type {(packed: Packed, at: number) => Raw}
 */
export function decodeStage(packed, at) {
  const raw = decode(packed);
  const size = raw.length / packed.shape[0];
  const k = Math.floor(at);
  const from = raw.subarray(k * size, (k + 1) * size);
  if (at === k) return from;
  const to = raw.subarray((k + 1) * size, (k + 2) * size);
  return Float32Array.from(from, (v, i) => v + (at - k) * (to[i] - v));
}

/**
 * Interleaved raw pairs over a window -> {x, y}; NaN (a gap) where clipped, which means outside the window.
 * @type {(raw: Raw, window: Window) => { x: Float64Array, y: Float64Array }}
 */
export function pointsOf(raw, [[x0, x1], [y0, y1]]) {
  const x = new Float64Array(raw.length / 2).fill(NaN);
  const y = x.slice();
  for (let i = 0; i < x.length; i++) {
    const [u, v] = [raw[2 * i], raw[2 * i + 1]];
    if (Math.min(u, v) === 0 || Math.max(u, v) === 65535) continue;
    x[i] = x0 + ((x1 - x0) * u) / 65535;
    y[i] = y0 + ((y1 - y0) * v) / 65535;
  }
  return { x, y };
}

/**
 * A packed grid of shares of its largest value as a field.
 * @type {(packed: Packed, largest: number) => Field}
 */
export function fieldOf(packed, largest) {
  const [rows, columns] = packed.shape;
  const unit = largest / 65535;
  return { values: Float32Array.from(decode(packed), (v) => v * unit), rows, columns };
}
