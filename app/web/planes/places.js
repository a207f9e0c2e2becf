// Parts of the plane.

/** @import { Window } from "../canvas/types.js" */

/**
 * Whether two parts of the plane are one.
 *
 * @param {Window} one
 * @param {Window} other
 */
export const samePlace = (one, other) =>
  one.every((range, axis) => range.every((end, k) => end === other[axis][k]));

/**
 * The part of a window that holds some rows of its grid with so many rows, from a row on.
 *
 * @param {Window} window
 * @param {number} rows
 * @param {number} from
 * @param {number} count
 * @returns {Window}
 */
export function rowsOf([x, [low, high]], rows, from, count) {
  const y = (/** @type {number} */ row) => low + ((high - low) * row) / (rows - 1);
  return [x, [y(from), y(from + count - 1)]];
}
