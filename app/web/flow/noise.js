/**
 * Draws of a standard normal from a fixed seed. Every picture of every browser maps the same noise, so that samples
 * move with the flow instead of flickering, and two browsers with one link show the same.
 */

const SEED = 1; // any number, but always this one

/**
 * Uniform numbers in (0, 1): mulberry32, by Tommy Ettinger, in the public domain.
 *
 * @param {number} seed
 */
function uniforms(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (((bits ^ (bits >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
}

/** @type {Map<number, Float32Array>} */
const made = new Map();

/**
 * So many points of a standard normal in the plane, as pairs, by Box and Muller's transform. The same array each time.
 *
 * @param {number} count
 */
export function noiseOf(count) {
  let noise = made.get(count);
  if (!noise) {
    const next = uniforms(SEED);
    noise = new Float32Array(2 * count);
    for (let i = 0; i < count; i++) {
      const [radius, angle] = [Math.sqrt(-2 * Math.log(next())), 2 * Math.PI * next()];
      noise.set([radius * Math.cos(angle), radius * Math.sin(angle)], 2 * i);
    }
    made.set(count, noise);
  }
  return noise;
}
