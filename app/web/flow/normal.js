/** The standard normal distribution of the plane, the base of every flow. */

const LOG_TWO_PI = Math.log(2 * Math.PI);

/**
 * log N((x, y); 0, I) in nats.
 *
 * @param {number} x
 * @param {number} y
 * @returns {number}
 */
export function logNormal(x, y) {
  return -0.5 * (x * x + y * y) - LOG_TWO_PI;
}
