// What an evaluator is asked for next, so that what is to be seen of a flow is seen soon, and sharp if it stays. Pure.

import { isSameWindow } from "./picture.js";

/** @import { Window } from "../canvas/types.js" */
/** @import { Density, Picture } from "./picture.js" */

/**
 * What is to be seen of a flow.
 * @typedef {object} Needs
 * @property {Window} window the whole plane
 * @property {Window | null} part what is looked at closely of it
 * @property {boolean} ways
 * @property {boolean} samples
 * @property {boolean} believed
 * @property {string} believedBy how training estimates
 * @property {[number, number] | null} point
 */

/** @typedef {"whole" | "part" | "believed" | "believed part"} Kind of a density */

/**
 * Some rows of a grid of nodes.
 * @typedef {{kind: Kind, window: Window, columns: number, rows: number}} Nodes
 */

/**
 * What one answer brings. Ways come with so many points a line; 0: none.
 * @typedef {object} Wants
 * @property {Nodes[]} densities
 * @property {number} linePoints
 * @property {boolean} samples
 * @property {[number, number] | null} point
 */

/**
 * A sharp density in the making: the rows from below that are there.
 * @typedef {{kind: Kind, window: Window, values: Float32Array, rows: number}} Sharpening
 */

export const SHARP = 200; // nodes a side of a density that stands still
export const LINE_POINTS = { moving: 41, still: 121 };

/** @type {(kind: Kind, picture: Picture) => Density | null} */
export const densityOf = (kind, { density, believed }) => (kind.startsWith("believed") ? believed : density);

/**
 * The densities that are to be seen, the first what one looks at.
 * @param {Needs} needs
 * @returns {{kind: Kind, window: Window}[]}
 */
function seen({ window, part, believed }) {
  const of = (/** @type {Kind} */ whole, /** @type {Kind} */ close) =>
    (part ? [{ kind: close, window: part }, { kind: whole, window }] : [{ kind: whole, window }]);
  return [...of("whole", "part"), ...(believed ? of("believed", "believed part") : [])];
}

/** The field that a picture has of it, if any. @param {{kind: Kind, window: Window}} one @param {Picture} picture */
function fieldFor({ kind, window }, picture) {
  const density = densityOf(kind, picture);
  if (!density) return null;
  if (!kind.endsWith("part")) return density.field;
  return density.part && isSameWindow(density.part.window, window) ? density.part.field : null;
}

/**
 * What a picture lacks of what is to be seen, coarse; null where it has all.
 * @param {Needs} needs
 * @param {Picture | null} picture
 * @param {number} nodes a side
 * @returns {Wants | null}
 */
export function missing(needs, picture, nodes) {
  const densities = seen(needs).filter((one) => !picture || !fieldFor(one, picture))
    .map((one) => ({ ...one, columns: nodes, rows: nodes }));
  const ways = needs.ways && !picture?.ways;
  const samples = needs.samples && !picture?.samples && !picture?.refusal;
  const point = needs.point && !isSamePoint(needs.point, picture?.terms?.x) ? needs.point : null;
  if (!densities.length && !ways && !samples && !point) return null;
  return { densities, linePoints: ways ? LINE_POINTS.moving : 0, samples, point };
}

/** @type {(one: number[], other: number[] | undefined) => boolean} */
const isSamePoint = (one, other) => Boolean(other) && one.every((value, i) => value === other?.[i]);

/**
 * What makes a picture that has all sharper; null where nothing does.
 * @param {Needs} needs
 * @param {Picture} picture
 * @param {Sharpening | null} begun
 * @param {number} rows at once, at most
 * @returns {Wants | null}
 */
export function sharper(needs, picture, begun, rows) {
  const none = { densities: [], linePoints: 0, samples: false, point: null };
  if (needs.ways && picture.ways && picture.ways.linePoints < LINE_POINTS.still) {
    return { ...none, linePoints: LINE_POINTS.still };
  }
  const next = seen(needs).find((one) => (fieldFor(one, picture)?.columns ?? 0) < SHARP);
  if (!next) return null;
  const first = begun && isOf(begun, next) ? begun.rows : 0;
  return { ...none, densities: [stripe(next, first, Math.min(rows, SHARP - first))] };
}

/** @type {(one: {kind: Kind, window: Window}, other: {kind: Kind, window: Window}) => boolean} */
const isOf = (one, other) => one.kind === other.kind && isSameWindow(one.window, other.window);

/**
 * So many rows of a sharp grid, from one on.
 * @param {{kind: Kind, window: Window}} of
 * @param {number} first
 * @param {number} rows
 * @returns {Nodes}
 */
function stripe({ kind, window: [x, [y0, y1]] }, first, rows) {
  const y = (/** @type {number} */ row) => y0 + ((y1 - y0) * row) / (SHARP - 1);
  return { kind, window: [x, [y(first), y(first + rows - 1)]], columns: SHARP, rows };
}

/**
 * A sharp density with rows that have come.
 * @param {Sharpening | null} begun
 * @param {{kind: Kind, window: Window}} of the whole grid
 * @param {Float32Array} values
 * @returns {Sharpening}
 */
export function continued(begun, { kind, window }, values) {
  const to = begun && isOf(begun, { kind, window }) ? begun
    : { kind, window, values: new Float32Array(SHARP * SHARP), rows: 0 };
  to.values.set(values, SHARP * to.rows);
  return { ...to, rows: to.rows + values.length / SHARP };
}

/** What a stripe is a part of. @param {Needs} needs @param {Kind} kind */
export const wholeOf = (needs, kind) =>
  /** @type {{kind: Kind, window: Window}} */ (seen(needs).find((one) => one.kind === kind));
