/**
 * What is drawn between two evaluated pictures, so that it moves at the screen's rate whatever the rate of weights.
 */

/** @typedef {import("./branches.js").Numbers} Numbers */

/**
 * (1 - share) a + share b, number by number, into `out`. Where the two differ in length there is nothing between them,
 * and b is taken.
 *
 * @param {Numbers} a
 * @param {Numbers} b
 * @param {number} share  from 0 to 1
 * @param {Float32Array} [out]  of the length of b
 * @returns {Float32Array}
 */
export function mixed(a, b, share, out = new Float32Array(b.length)) {
  if (a.length !== b.length) {
    out.set(b);
    return out;
  }
  for (let i = 0; i < out.length; i++) out[i] = a[i] + share * (b[i] - a[i]);
  return out;
}

/**
 * Densities per unit area from log densities in nats.
 *
 * @param {Numbers} logProb
 * @param {number} [area]  of one unit square of the flow, in the units that are shown
 * @param {Float32Array} [out]
 * @returns {Float32Array}
 */
export function densities(logProb, area = 1, out = new Float32Array(logProb.length)) {
  for (let i = 0; i < out.length; i++) out[i] = Math.exp(logProb[i]) / area;
  return out;
}

/**
 * How far a picture has gone from the one before it to the newest: pictures come about `between` milliseconds apart, so
 * a new one is reached when the next is expected.
 *
 * @param {number} now
 * @param {number} arrived  when the newest came
 * @param {number} between
 * @returns {number}  from 0 to 1
 */
export function shareAt(now, arrived, between) {
  return between > 0 ? Math.min(1, Math.max(0, (now - arrived) / between)) : 1;
}

/**
 * The time between two pictures, as it is expected from those that came: a moving average.
 *
 * @param {number} before  what was expected; 0 at first
 * @param {number} last  the time between the last two
 * @returns {number}
 */
export function expectedBetween(before, last) {
  return before > 0 ? before + 0.3 * (last - before) : last;
}
