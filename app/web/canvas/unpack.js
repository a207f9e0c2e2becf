/** @import { Packed } from "./types.js" */

const ARRAYS = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array };

/**
 * The flat typed array of what `app.quantise.packed` packed.
 * @type {(packed: Packed) => Uint8Array | Uint16Array | Float32Array}
 */
export const unpacked = ({ dtype, base64 }) => new ARRAYS[dtype](bytesOf(base64).buffer);

/** @type {(base64: string) => Uint8Array<ArrayBuffer>} */
export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
