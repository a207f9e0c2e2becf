/**
 * The functions that a formula may name, each with its value and its slope in closed form, as the core has them
 * (`resflow_core/expressions/functions.py`): at a corner the slope is that of the same side.
 */

/** @typedef {import("./tape.js").Place} Place */
/** @typedef {import("./tape.js").Recorder} Recorder */
/** @typedef {{value: Place, slope: Place}} Jet */
/** @typedef {(o: Recorder, t: Place) => Jet} FunctionOfOne */

const TWO_OVER_ROOT_PI = 2 / Math.sqrt(Math.PI);
const ONE_OVER_ROOT_TWO_PI = 1 / Math.sqrt(2 * Math.PI);
const LINEAR_FROM = 20; // PyTorch's softplus is t from here on

/** @param {Recorder} o @param {Place} t */
const square = (o, t) => o.multiply(t, t);
/** @param {Recorder} o @param {Place} t */
const inverse = (o, t) => o.divide(o.number(1), t);
/** @param {Recorder} o @param {Place} t */
const oneMinus = (o, t) => o.subtract(o.number(1), t);
/** s = 1 / (1 + exp(-t)) @param {Recorder} o @param {Place} t */
const logistic = (o, t) => inverse(o, o.add(o.number(1), o.exp(o.negate(t))));
/** exp(-t^2) @param {Recorder} o @param {Place} t */
const bell = (o, t) => o.exp(o.negate(square(o, t)));

/** log(1 + exp t) = max(t, 0) + log(1 + exp(-|t|)) @param {Recorder} o @param {Place} t */
function softplus(o, t) {
  const bent = o.add(o.maximum(t, o.number(0)), o.log1p(o.exp(o.negate(o.abs(t)))));
  return o.whereLess(o.number(LINEAR_FROM), t, t, bent);
}

/** @type {Record<string, FunctionOfOne>} */
export const FUNCTIONS = {
  sin: (o, t) => ({ value: o.sin(t), slope: o.cos(t) }),
  cos: (o, t) => ({ value: o.cos(t), slope: o.negate(o.sin(t)) }),
  tanh(o, t) {
    const value = o.tanh(t);
    return { value, slope: oneMinus(o, square(o, value)) };
  },
  sigmoid(o, t) {
    const value = logistic(o, t);
    return { value, slope: o.multiply(value, oneMinus(o, value)) };
  },
  softplus: (o, t) => ({ value: softplus(o, t), slope: logistic(o, t) }),
  relu: (o, t) => ({
    value: o.whereLess(o.number(0), t, t, o.number(0)),
    slope: o.whereLess(o.number(0), t, o.number(1), o.number(0)),
  }),
  elu(o, t) {
    const below = o.minimum(t, o.number(0));
    return { value: o.whereLess(o.number(0), t, t, o.expm1(below)), slope: o.exp(below) };
  },
  /** y = t s, and s + y (1 - s) */
  silu(o, t) {
    const s = logistic(o, t);
    const value = o.multiply(t, s);
    return { value, slope: o.add(s, o.multiply(value, oneMinus(o, s))) };
  },
  gelu(o, t) {
    const below = o.normalCdf(t);
    const density = o.multiply(o.number(ONE_OVER_ROOT_TWO_PI), o.exp(o.multiply(o.number(-0.5), square(o, t))));
    return { value: o.multiply(t, below), slope: o.add(below, o.multiply(t, density)) };
  },
  /** t w, w = tanh(log(1 + e)) = q / (q + 2) with e = exp t and q = e (e + 2); and w + 4 t e (1 + e) / (q + 2)^2 */
  mish(o, t) {
    const e = o.exp(o.minimum(t, o.number(LINEAR_FROM)));
    const two = o.number(2);
    const q = o.multiply(e, o.add(e, two));
    const r = inverse(o, o.add(q, two));
    const w = o.multiply(q, r);
    const slopeOfW = o.multiply(o.multiply(o.number(4), square(o, r)), o.add(e, square(o, e)));
    return { value: o.multiply(t, w), slope: o.add(w, o.multiply(t, slopeOfW)) };
  },
  erf: (o, t) => ({ value: o.erf(t), slope: o.multiply(o.number(TWO_OVER_ROOT_PI), bell(o, t)) }),
  atan: (o, t) => ({ value: o.atan(t), slope: inverse(o, o.add(o.number(1), square(o, t))) }),
  /** log(|t| + h) with the sign of t, and 1 / h, h = sqrt(1 + t^2) */
  asinh(o, t) {
    const size = o.abs(t);
    const h = o.sqrt(o.add(o.number(1), square(o, t)));
    // log(|t| + h) = log(1 + |t| + t^2 / (1 + h)) keeps the digits of a small t.
    const rest = o.divide(square(o, t), o.add(o.number(1), h));
    const value = o.log1p(o.add(size, rest));
    return { value: o.whereLess(t, o.number(0), o.negate(value), value), slope: inverse(o, h) };
  },
  gauss(o, t) {
    const value = bell(o, t);
    return { value, slope: o.multiply(o.number(-2), o.multiply(t, value)) };
  },
  /** t y with y = exp(-t^2), and y - 2 t^2 y */
  xgauss(o, t) {
    const y = bell(o, t);
    const value = o.multiply(t, y);
    return { value, slope: o.subtract(y, o.multiply(o.number(2), o.multiply(t, value))) };
  },
  lorentz(o, t) {
    const value = inverse(o, o.add(o.number(1), square(o, t)));
    return { value, slope: o.multiply(o.number(-2), o.multiply(o.multiply(t, value), value)) };
  },
  /** |t| + log((1 + exp(-2 |t|)) / 2) */
  logcosh(o, t) {
    const size = o.abs(t);
    const rest = o.subtract(o.log1p(o.exp(o.multiply(o.number(-2), size))), o.number(Math.LN2));
    return { value: o.add(size, rest), slope: o.tanh(t) };
  },
  softsign(o, t) {
    const r = inverse(o, o.add(o.number(1), o.abs(t)));
    return { value: o.multiply(t, r), slope: square(o, r) };
  },
  hyperbola(o, t) {
    const value = o.sqrt(o.add(o.number(1), square(o, t)));
    return { value, slope: o.divide(t, value) };
  },
  abs: (o, t) => ({ value: o.abs(t), slope: o.whereLess(t, o.number(0), o.number(-1), o.number(1)) }),
  exp(o, t) {
    const value = o.exp(t);
    return { value, slope: value };
  },
  log: (o, t) => ({ value: o.log(t), slope: inverse(o, t) }),
  sqrt(o, t) {
    const value = o.sqrt(t);
    return { value, slope: o.divide(o.number(0.5), value) };
  },
};
