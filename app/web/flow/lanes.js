/** A tape as WebAssembly, for four numbers at a time. */

import { neededSteps } from "./tape.js";

/** @typedef {import("./wasm.js").Body} Body */
/** @typedef {import("./tape.js").Operation} Operation */

// exp x = 2^n exp r, x = n log 2 + r; (exp r - 1 - r) / r^2 for |r| <= log(2) / 2
const LOG_2 = [0.693359375, -2.12194440e-4];
const EXP = [
  0.4999999341665586, 0.16666520217123784, 0.041668394194572286, 0.008368767551006262, 0.0013814400571261851,
];
const EXP_LEAST = -87.3;
const EXP_MOST = 88.3; // the largest result is then about 2e38
// (log(1 + r) - r + r^2 / 2) / r^3, for sqrt(1/2) <= 1 + r <= sqrt(2)
const LOG = [
  0.33334184014086843, -0.2500170975438404, 0.1995416999091124, -0.16563792031733257, 0.1498499522486864,
  -0.1438618184690317, 0.08660482462501762,
];
const ROOT_HALF_BITS = 0x3f3504f3;

/**
 * Code that puts a polynomial in the vector x on the stack.
 *
 * @param {Body} body
 * @param {number[]} coefficients  from the constant on
 * @param {number} x
 */
function polynomial(body, coefficients, x) {
  body.number(/** @type {number} */ (coefficients.at(-1)));
  for (const coefficient of coefficients.slice(0, -1).reverse()) {
    body.get(x);
    body.lanes("multiply");
    body.number(coefficient);
    body.lanes("add");
  }
}

/** exp of the vector on the stack. @param {Body} body */
function exp(body) {
  const [x, n] = [body.newVector(), body.newVector()];
  body.number(EXP_MOST);
  body.lanes("minimum");
  body.number(EXP_LEAST);
  body.lanes("maximum");
  body.set(x);
  body.get(x);
  body.number(Math.LOG2E);
  body.lanes("multiply");
  body.lanes("nearest");
  body.set(n);
  body.get(x);
  for (const part of LOG_2) {
    body.get(n);
    body.number(part);
    body.lanes("multiply");
    body.lanes("subtract");
  }
  body.set(x);
  polynomial(body, EXP, x);
  body.get(x);
  body.lanes("multiply");
  body.get(x);
  body.lanes("multiply");
  body.get(x);
  body.lanes("add");
  body.number(1);
  body.lanes("add");
  // 2^n: n is added to the exponent.
  body.get(n);
  body.lanes("toWhole");
  body.whole(23);
  body.lanes("shiftLeft");
  body.lanes("addWhole");
}

/** log of the vector on the stack: -infinity at 0, and NaN below. @param {Body} body */
function log(body) {
  const [x, n, r, found] = [body.newVector(), body.newVector(), body.newVector(), body.newVector()];
  body.set(x);
  // n and 1 + r of x = 2^n (1 + r), with sqrt(1/2) <= 1 + r < sqrt(2)
  body.get(x);
  body.wholeNumber(ROOT_HALF_BITS);
  body.lanes("subtractWhole");
  body.whole(23);
  body.lanes("shiftRight");
  body.set(n);
  body.get(x);
  body.get(n);
  body.whole(23);
  body.lanes("shiftLeft");
  body.lanes("subtractWhole");
  body.number(1);
  body.lanes("subtract");
  body.set(r);
  // r - r^2 / 2 + r^3 P(r) + n log 2
  polynomial(body, LOG, r);
  body.get(r);
  body.lanes("multiply");
  body.number(-0.5);
  body.lanes("add");
  body.get(r);
  body.lanes("multiply");
  body.get(r);
  body.lanes("multiply");
  body.get(r);
  body.lanes("add");
  body.get(n);
  body.lanes("fromWhole");
  body.number(Math.LN2);
  body.lanes("multiply");
  body.lanes("add");
  body.set(found);
  // NaN below 0, -infinity at 0
  body.get(found);
  body.number(Number.NaN);
  body.number(Number.NEGATIVE_INFINITY);
  body.get(x);
  body.number(0);
  body.lanes("less");
  body.lanes("choose");
  body.number(0);
  body.get(x);
  body.lanes("less");
  body.lanes("choose");
}

/** @type {Partial<Record<Operation, keyof typeof import("./wasm.js").LANES>>} */
const PLAIN = {
  add: "add", subtract: "subtract", multiply: "multiply", divide: "divide", minimum: "minimum", maximum: "maximum",
  negate: "negate", abs: "abs", sqrt: "sqrt", nearest: "nearest",
};

/**
 * Code that fills new vectors with the results of a tape in single precision (`single.js`).
 *
 * @param {Body} body
 * @param {import("./tape.js").Tape} tape
 * @param {number} z  the vector of the variable
 * @param {boolean} withSlope
 * @returns {{value: number, slope: number}}  where the results are; without slope, `slope` is the value again
 */
export function written(body, tape, z, withSlope) {
  /** @type {Map<number, number>} */
  const vectors = new Map();
  /** Put the result of a step on the stack. @param {number} place */
  const put = (place) => {
    const { operation, number } = tape.steps[place];
    if (operation === "number") body.number(number);
    else body.get(operation === "z" ? z : /** @type {number} */ (vectors.get(place)));
  };
  const results = withSlope ? [tape.value, tape.slope] : [tape.value];
  for (const place of neededSteps(tape, results)) {
    const { operation, parts } = tape.steps[place];
    if (operation === "z" || operation === "number") continue;
    const plain = PLAIN[operation];
    if (operation === "whereLess" || operation === "whereAtMost") {
      const [a, b, c, d] = parts;
      put(c);
      put(d);
      put(a);
      put(b);
      body.lanes(operation === "whereLess" ? "less" : "atMost");
      body.lanes("choose");
    } else if (operation === "alternate") {
      put(parts[1]);
      put(parts[0]);
      body.lanes("toWhole");
      body.whole(31);
      body.lanes("shiftLeft"); // the last bit becomes the sign
      body.lanes("xor");
    } else {
      for (const part of parts) put(part);
      if (operation === "exp") exp(body);
      else if (operation === "log") log(body);
      else if (plain) body.lanes(plain);
      else throw new Error(`${operation} is no step in single precision.`);
    }
    const vector = body.newVector();
    body.set(vector);
    vectors.set(place, vector);
  }
  /** @param {number} place */
  const vectorOf = (place) => {
    const known = tape.steps[place].operation === "z" ? z : vectors.get(place);
    if (known !== undefined) return known;
    const vector = body.newVector();
    put(place);
    body.set(vector);
    return vector;
  };
  return { value: vectorOf(tape.value), slope: vectorOf(withSlope ? tape.slope : tape.value) };
}
