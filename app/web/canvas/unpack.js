/** @import { Packed } from "./types.js" */

const ARRAYS = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array };

/**
 * The flat typed array of what `app.quantise.packed` packed.
 * @type {(packed: Packed) => Uint8Array | Uint16Array | Float32Array}
 */
export function unpacked({ dtype, base64 }) {
  return new ARRAYS[dtype](Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);
}
