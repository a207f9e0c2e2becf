/**
 * A computation of one number z as a tape: a list of steps, each of which uses the results of steps before it.
 *
 * One tape is run in double precision on arrays (`double.js`), or written as WebAssembly or as a shader.
 */

/**
 * What a step can do with its arguments a, b, ...
 *
 * - z: the variable; number: a constant
 * - add, subtract, multiply, divide, minimum, maximum: of a and b
 * - negate, abs, sqrt, exp, expm1, log, log1p, sin, cos, tanh, erf, normalCdf, atan: of a
 * - power: a to the constant b
 * - whereLess: c if a < b, else d; whereAtMost: c if a <= b, else d
 * - nearest: the nearest whole number to a; alternate: b (-1)^a for a whole number a
 *
 * @typedef {"z" | "number" | "add" | "subtract" | "multiply" | "divide" | "minimum" | "maximum" | "negate" | "abs" |
 *   "sqrt" | "exp" | "expm1" | "log" | "log1p" | "sin" | "cos" | "tanh" | "erf" | "normalCdf" | "atan" | "power" |
 *   "whereLess" | "whereAtMost" | "nearest" | "alternate"} Operation
 */

/**
 * @typedef {object} Step
 * @property {Operation} operation
 * @property {number[]} parts  the places of its arguments on the tape
 * @property {number} number  the constant of a number
 */

/**
 * The steps, and the places of the results: the value of a function and its slope.
 *
 * @typedef {object} Tape
 * @property {Step[]} steps
 * @property {number} value
 * @property {number} slope
 */

/** A place on the tape. @typedef {number} Place */

/**
 * A recorder of steps. The same step is recorded once; products with 0 and 1 and sums with 0 are none.
 *
 * @typedef {ReturnType<typeof recorder>} Recorder
 */
export function recorder() {
  /** @type {Step[]} */
  const steps = [];
  /** @type {Map<string, Place>} */
  const known = new Map();

  /**
   * @param {Operation} operation
   * @param {Place[]} parts
   * @param {number} [number]
   * @returns {Place}
   */
  function step(operation, parts, number = 0) {
    const key = `${operation} ${parts} ${Object.is(number, -0) ? "-0" : number}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    known.set(key, steps.length);
    return steps.push({ operation, parts, number }) - 1;
  }

  /** @param {Place} place @param {number} value */
  const is = (place, value) => steps[place].operation === "number" && steps[place].number === value;
  /** @param {number} value */
  const number = (value) => step("number", [], value);
  /** @param {Operation} operation */
  const ofOne = (operation) => /** @param {Place} a */ (a) => step(operation, [a]);
  /** @param {Operation} operation */
  const ofTwo = (operation) => /** @param {Place} a @param {Place} b */ (a, b) => step(operation, [a, b]);
  /** @param {Operation} operation */
  const choice = (operation) =>
    /** @param {Place} a @param {Place} b @param {Place} c @param {Place} d */
    (a, b, c, d) => (c === d ? c : step(operation, [a, b, c, d]));

  return {
    steps,
    number,
    z: () => step("z", []),
    /** @param {Place} a @param {Place} b */
    add: (a, b) => (is(a, 0) ? b : is(b, 0) ? a : step("add", [a, b])),
    /** @param {Place} a @param {Place} b */
    subtract: (a, b) => (is(b, 0) ? a : step("subtract", [a, b])),
    /** @param {Place} a @param {Place} b */
    multiply: (a, b) => {
      if (is(a, 0) || is(b, 1)) return a;
      return is(b, 0) || is(a, 1) ? b : step("multiply", [a, b]);
    },
    /** @param {Place} a */
    negate: (a) => (is(a, 0) ? a : step("negate", [a])),
    /** @param {Place} a @param {number} exponent */
    power: (a, exponent) => (exponent === 1 ? a : step("power", [a, number(exponent)])),
    divide: ofTwo("divide"),
    minimum: ofTwo("minimum"),
    maximum: ofTwo("maximum"),
    alternate: ofTwo("alternate"),
    nearest: ofOne("nearest"),
    abs: ofOne("abs"),
    sqrt: ofOne("sqrt"),
    exp: ofOne("exp"),
    expm1: ofOne("expm1"),
    log: ofOne("log"),
    log1p: ofOne("log1p"),
    sin: ofOne("sin"),
    cos: ofOne("cos"),
    tanh: ofOne("tanh"),
    erf: ofOne("erf"),
    normalCdf: ofOne("normalCdf"),
    atan: ofOne("atan"),
    whereLess: choice("whereLess"),
    whereAtMost: choice("whereAtMost"),
  };
}

/**
 * The steps that some results need, in order.
 *
 * @param {Tape} tape
 * @param {Place[]} results
 * @returns {Place[]}
 */
export function neededSteps({ steps }, results) {
  const wanted = new Set(results);
  for (let place = steps.length - 1; place >= 0; place--) {
    if (wanted.has(place)) for (const part of steps[place].parts) wanted.add(part);
  }
  return [...wanted].sort((a, b) => a - b);
}

/**
 * A register for each of some steps, so that one is used again when its result has been used for the last time.
 * Results of the whole keep theirs to the end.
 *
 * @param {Tape} tape
 * @param {Place[]} places  in order, as `neededSteps` gives them
 * @param {Place[]} results
 * @returns {{registers: Map<Place, number>, count: number}}
 */
export function allotted({ steps }, places, results) {
  /** @type {Map<Place, number>} */
  const lastUse = new Map();
  for (const place of places) for (const part of steps[place].parts) lastUse.set(part, place);
  for (const place of results) lastUse.set(place, Number.POSITIVE_INFINITY);
  /** @type {Map<Place, number>} */
  const registers = new Map();
  /** @type {number[]} */
  const free = [];
  let count = 0;
  for (const place of places) {
    const { operation, parts } = steps[place];
    if (operation === "z" || operation === "number") continue;
    registers.set(place, free.pop() ?? count++);
    for (const part of new Set(parts)) {
      const register = registers.get(part);
      if (register !== undefined && lastUse.get(part) === place) free.push(register);
    }
  }
  return { registers, count };
}
