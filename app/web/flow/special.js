/** Special functions that Math has not got, in double precision. */

const SQRT_PI = Math.sqrt(Math.PI);

/**
 * erf x = 2 / sqrt(pi) x exp(-x^2) sum_k (2 x^2)^k / (1 3 5 ... (2 k + 1)). All terms are positive, so nothing cancels.
 *
 * @param {number} x  of at most about 3 in absolute value
 */
function erfBySeries(x) {
  const square = 2 * x * x;
  let term = 1;
  let sum = 1;
  for (let odd = 3; term > 1e-17 * sum; odd += 2) {
    term *= square / odd;
    sum += term;
  }
  return (2 / SQRT_PI) * x * Math.exp(-x * x) * sum;
}

const MOST_FRACTIONS = 60;

/**
 * erfc x = exp(-x^2) / sqrt(pi) / (x + (1/2) / (x + 1 / (x + (3/2) / (x + 2 / (x + ...))))), from the inside.
 *
 * @param {number} x  from about 2 on
 */
function erfcByFraction(x) {
  let rest = x;
  for (let k = MOST_FRACTIONS; k >= 1; k--) rest = x + k / 2 / rest;
  return Math.exp(-x * x) / (SQRT_PI * rest);
}

const BETWEEN = 2.5;

/**
 * The error function, to about 1e-15.
 *
 * @param {number} x
 * @returns {number}
 */
export function erf(x) {
  if (Math.abs(x) < BETWEEN) return erfBySeries(x);
  const rest = erfcByFraction(Math.abs(x));
  return x < 0 ? rest - 1 : 1 - rest;
}

/**
 * P(Z <= x) for a standard normal Z, to about 1e-15, and to about 1e-12 of its value far in the left tail.
 *
 * @param {number} x
 * @returns {number}
 */
export function normalCdf(x) {
  const t = -x / Math.SQRT2;
  if (t > BETWEEN) return erfcByFraction(t) / 2;
  return (1 - erf(t)) / 2;
}
