/**
 * The formula of an activation as a tape that computes its value and its slope.
 *
 * The core sends a formula as a tree (`resflow_core/expressions/json_tree.py`): a number, "z", ["^", base, exponent] or
 * [name, part, ...] with the name of a function or one of + - * / neg min max. A slope follows from the chain rule,
 * with the slope of each function in closed form.
 */

import { FUNCTIONS } from "./functions.js";
import { recorder } from "./tape.js";

/** @typedef {import("./functions.js").Jet} Jet */
/** @typedef {import("./tape.js").Recorder} Recorder */
/** @typedef {number | string | [string, ...any[]]} Tree */

/** @type {Record<string, (o: Recorder, a: Jet, b: Jet) => Jet>} */
const OF_TWO = {
  "+": (o, a, b) => ({ value: o.add(a.value, b.value), slope: o.add(a.slope, b.slope) }),
  "-": (o, a, b) => ({
    value: o.subtract(a.value, b.value),
    slope: o.add(a.slope, o.negate(b.slope)),
  }),
  "*": (o, a, b) => ({
    value: o.multiply(a.value, b.value),
    slope: o.add(o.multiply(a.slope, b.value), o.multiply(a.value, b.slope)),
  }),
  /** q = a / b, and (a' - q b') / b */
  "/": (o, a, b) => {
    const value = o.divide(a.value, b.value);
    const rest = o.add(a.slope, o.negate(o.multiply(value, b.slope)));
    return { value, slope: o.divide(rest, b.value) };
  },
  min: (o, a, b) => ({
    value: o.whereAtMost(a.value, b.value, a.value, b.value),
    slope: o.whereAtMost(a.value, b.value, a.slope, b.slope),
  }),
  max: (o, a, b) => ({
    value: o.whereAtMost(b.value, a.value, a.value, b.value),
    slope: o.whereAtMost(b.value, a.value, a.slope, b.slope),
  }),
};

/**
 * @param {Recorder} o
 * @param {Tree} tree
 * @returns {Jet}
 */
function jetOf(o, tree) {
  if (tree === "z") return { value: o.z(), slope: o.number(1) };
  if (typeof tree === "number") return { value: o.number(tree), slope: o.number(0) };
  if (!Array.isArray(tree)) throw new Error(`${tree} is no part of a formula.`);
  const [name, ...parts] = tree;
  const first = jetOf(o, parts[0]);
  if (name === "^") {
    const exponent = Number(parts[1]);
    const outer = o.multiply(o.number(exponent), exponent === 0 ? o.number(1) : o.power(first.value, exponent - 1));
    return { value: o.power(first.value, exponent), slope: o.multiply(outer, first.slope) };
  }
  if (name === "neg") return { value: o.negate(first.value), slope: o.negate(first.slope) };
  if (Object.hasOwn(OF_TWO, name)) return OF_TWO[name](o, first, jetOf(o, parts[1]));
  if (!Object.hasOwn(FUNCTIONS, name)) throw new Error(`The function ${name} is unknown here.`);
  const { value, slope } = FUNCTIONS[name](o, first.value);
  return { value, slope: o.multiply(slope, first.slope) };
}

/**
 * The tape of a formula. Parts that stand in it several times are computed once.
 *
 * @param {Tree} tree
 * @param {Recorder} [o]  what records it: functions in double precision, unless another one is given (`single.js`)
 * @returns {import("./tape.js").Tape}
 */
export function tapeOf(tree, o = recorder()) {
  return { ...jetOf(o, tree), steps: o.steps };
}
