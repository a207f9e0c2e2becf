// Numbers along an axis.

import { shown } from "./numbers.js";

/** @import { Range, Tick } from "./types.js" */

/** @type {Map<number, Intl.NumberFormat>} */
const formats = new Map();

/**
 * With so many decimals, thousands apart, and a minus sign as in print.
 * @type {(value: number, decimals: number) => string}
 */
function decimal(value, decimals) {
  let found = formats.get(decimals);
  if (!found) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    found = new Intl.NumberFormat("en", digits);
    formats.set(decimals, found);
  }
  return found.format(value).replace("-", "−");
}

/**
 * Places from `low` to `high` whose numbers read well, at most one more than wanted: {value, text} each, ascending.
 * @type {(range: Range, wanted: number) => Tick[]}
 */
export function ticksOf([low, high], wanted) {
  const power = 10 ** Math.floor(Math.log10((high - low) / wanted));
  if (!(power > 0 && power < Infinity)) return [];
  /** @type {(step: number) => Range} */
  const ends = (step) => [Math.ceil(low / step - 1e-6), Math.floor(high / step + 1e-6)];
  const steps = [1, 2, 5, 10].map((m) => m * power);
  const fits = steps.findIndex((one) => ends(one)[1] - ends(one)[0] <= wanted);
  const isLone = ends(steps[fits])[1] === ends(steps[fits])[0]; // one number alone shows no scale
  const step = steps[isLone ? Math.max(0, fits - 1) : fits];
  const [first, last] = ends(step);
  const exponent = Math.floor(Math.log10(step) + 1e-9);
  const isPlain = exponent >= -5 && Math.max(Math.abs(low), Math.abs(high)) < 1e7;
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, k) => {
    const value = first + k ? (first + k) * step : 0; // no minus zero
    return { value, text: isPlain ? decimal(value, Math.max(0, -exponent)) : shown(value) };
  });
}

const [COARSE, FINE_STEPS] = [[1, 2, 5], [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]]; // numbers that read well in a decade

/**
 * 10 to a whole power, as in print.
 * @type {(k: number) => string}
 */
function powerOfTen(k) {
  /** @type {(sign: string) => string} */
  const raised = (sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)]);
  return `10${String(k).replace(/./g, raised)}`;
}

/**
 * Places from 10^low to 10^high for an axis of logarithms to base 10: {value: of the logarithm, text} each.
 * @type {(range: Range, wanted: number) => Tick[]}
 */
export function logTicksOf([low, high], wanted) {
  /** @type {(k: number) => boolean} */
  const isWithin = (k) => k >= low - 1e-9 && k <= high + 1e-9;
  const decades = Array.from({ length: Math.max(0, Math.ceil(high - low) + 2) }, (_, i) => Math.floor(low) + i);
  const whole = decades.filter(isWithin);
  const every = Math.ceil(whole.length / wanted);
  const values = whole.length > 2
    ? whole.filter((k) => k % every === 0)
    : decades.flatMap((k) => (high - low < 1.2 ? FINE_STEPS : COARSE).map((m) => k + Math.log10(m))).filter(isWithin);
  /** @type {(k: number) => string} */
  const named = (k) => (Math.abs(k) > 3 && Number.isInteger(k) ? powerOfTen(k) : shown(10 ** k));
  return values.map((value) => ({ value, text: named(value) }));
}
