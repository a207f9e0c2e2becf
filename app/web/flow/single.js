/**
 * A recorder in single precision: functions made of steps that every processor and every shader has, with an absolute
 * error of about 1e-7. The polynomials are minimax fits. What remains beside arithmetic is exp, log and sqrt.
 */

import { recorder } from "./tape.js";

/** @typedef {import("./tape.js").Place} Place */
/** @typedef {import("./tape.js").Recorder} Recorder */

// pi = 3.140625 + ... in three parts, of which the first two have so few digits that n of them are exact for n < 2^15.
const PI_PARTS = [3.140625, 9.675025939941406e-4, 1.509957990978376e-7];
// (sin r - r) / r^3 and (cos r - 1) / r^2 in r^2, for |r| <= pi / 2
const SIN = [-0.1666665705856465, 0.008333016354997749, -0.00019806547081480759, 2.5999032095434457e-6];
const COS = [-0.4999993202628989, 0.04166398156318676, -0.0013855862726069312, 2.3192830923633723e-5];
// erfc x = exp(-x^2) k P(k) with k = 1 / (1 + 0.4 x), for x >= 0
const ERFC_RATE = 0.4;
const ERFC = [
  0.231943561614694, 0.16168946158847236, 0.4686068848122409, -0.3713178906703456, 0.709398251664598,
  -0.2003202977512333,
];
// (atan r - r) / r^3 in r^2, for |r| <= tan(pi / 8)
const ATAN = [-0.3333275277481407, 0.19971740058948761, -0.13822989119840817, 0.07897891125859054];
const EIGHTH = Math.tan(Math.PI / 8);

/** @returns {Recorder} */
export function singleRecorder() {
  const o = recorder();
  const one = o.number(1);
  const zero = o.number(0);

  /** coefficients[0] + x (coefficients[1] + x ...) @param {number[]} coefficients @param {Place} x */
  const polynomial = (coefficients, x) =>
    coefficients.slice(0, -1).reduceRight(
      (sum, coefficient) => o.add(o.number(coefficient), o.multiply(x, sum)),
      o.number(/** @type {number} */ (coefficients.at(-1))),
    );

  /** x = n pi + r with |r| <= pi / 2 @param {Place} x */
  function reduced(x) {
    const n = o.nearest(o.multiply(x, o.number(1 / Math.PI)));
    const r = PI_PARTS.reduce((rest, part) => o.subtract(rest, o.multiply(n, o.number(part))), x);
    return { n, r, square: o.multiply(r, r) };
  }

  /** exp(-x^2) k P(k), x >= 0 @param {Place} x */
  function erfc(x) {
    const k = o.divide(one, o.add(one, o.multiply(o.number(ERFC_RATE), x)));
    return o.multiply(o.exp(o.negate(o.multiply(x, x))), o.multiply(k, polynomial(ERFC, k)));
  }

  /** The n-th power by squaring, n >= 1 @param {Place} a @param {number} n @returns {Place} */
  function whole(a, n) {
    if (n === 1) return a;
    const half = whole(a, Math.floor(n / 2));
    const square = o.multiply(half, half);
    return n % 2 ? o.multiply(square, a) : square;
  }

  return {
    ...o,
    sin(x) {
      const { n, r, square } = reduced(x);
      return o.alternate(n, o.add(r, o.multiply(r, o.multiply(square, polynomial(SIN, square)))));
    },
    cos(x) {
      const { n, square } = reduced(x);
      return o.alternate(n, o.add(one, o.multiply(square, polynomial(COS, square))));
    },
    expm1: (x) => o.subtract(o.exp(x), one),
    log1p: (x) => o.log(o.add(one, x)),
    /** 1 - 2 / (exp(2 x) + 1) */
    tanh: (x) => o.subtract(one, o.divide(o.number(2), o.add(o.exp(o.add(x, x)), one))),
    erf(x) {
      const rest = erfc(o.abs(x));
      return o.whereLess(x, zero, o.subtract(rest, one), o.subtract(one, rest));
    },
    normalCdf(x) {
      const rest = o.multiply(o.number(0.5), erfc(o.abs(o.multiply(x, o.number(Math.SQRT1_2)))));
      return o.whereLess(x, zero, rest, o.subtract(one, rest));
    },
    /** atan x = k pi / 4 + atan r, by atan(1 / x) = pi / 2 - atan x and atan((x - 1) / (x + 1)) = atan x - pi / 4. */
    atan(x) {
      const size = o.abs(x);
      const middle = o.number(EIGHTH);
      const far = o.number(1 / EIGHTH);
      const nearOne = o.divide(o.subtract(size, one), o.add(size, one));
      const beyond = o.divide(o.number(-1), o.maximum(size, one));
      const r = o.whereLess(far, size, beyond, o.whereLess(middle, size, nearOne, size));
      const quarter = o.number(Math.PI / 4);
      const begin = o.whereLess(far, size, o.number(Math.PI / 2), o.whereLess(middle, size, quarter, zero));
      const square = o.multiply(r, r);
      const rest = o.add(r, o.multiply(r, o.multiply(square, polynomial(ATAN, square))));
      const found = o.add(begin, rest);
      return o.whereLess(x, zero, o.negate(found), found);
    },
    power(x, exponent) {
      if (exponent === 0) return one;
      const size = Math.abs(exponent);
      const isWhole = Number.isInteger(size);
      const isHalf = Number.isInteger(2 * size);
      if (!isHalf) return o.exp(o.multiply(o.number(exponent), o.log(x)));
      const found = isWhole ? whole(x, size) : whole(o.sqrt(x), 2 * size);
      return exponent < 0 ? o.divide(one, found) : found;
    },
  };
}
