// A picture: what is drawn of a flow at one step. The browser works it out from weights, or the server has sent it as a
// frame. Its numbers are in the flow's units: a density per unit area, places as pairs x, y.

import { decodeFloats } from "./decode.js";

/** @import { Field, Packed, Window } from "../canvas/types.js" */

/**
 * Where points and the points of grid lines are at `count` stages from the stage `first` on: pairs, stage after stage.
 * NaN where nobody knows it.
 * @typedef {{first: number, count: number, points: Float32Array, lines: Float32Array, linePoints: number}} Ways
 */

/**
 * A density over the whole window, where its colours end, and over the part of it that is looked at closely.
 * @typedef {{field: Field, top: number, part: {window: Window, field: Field} | null}} Density
 */

/**
 * @typedef {object} Picture
 * @property {number} step
 * @property {Density} density
 * @property {Density | null} believed the density that training believes in
 * @property {string} [believedBy] how it estimates
 * @property {Ways | null} ways
 * @property {Float32Array | null} samples
 * @property {string} refusal why there are no samples
 * @property {import("./point.js").Terms | null} terms of the pinned point
 */

/**
 * A frame of the server's, as it was sent (`app.components.live.encode`).
 * @typedef {object} Frame
 * @property {number} step
 * @property {Packed} density
 * @property {Packed} latent
 * @property {Packed} grid
 * @property {Packed | null} samples
 * @property {number | null} depth
 */

/**
 * The picture of a frame.
 * @param {Frame} frame
 * @param {{blocks: number}} scene
 * @returns {Picture}
 */
export function pictureOfFrame({ step, density, latent, grid, samples, depth }, { blocks }) {
  const [rows, columns] = density.shape;
  const field = { values: decodeFloats(density), rows, columns };
  return {
    step,
    density: { field, top: topOf(field), part: null },
    believed: null,
    ways: {
      first: depth ?? blocks + 1, count: 1, points: decodeFloats(latent), lines: decodeFloats(grid),
      linePoints: grid.shape[1],
    },
    samples: samples && decodeFloats(samples),
    refusal: "",
    terms: null,
  };
}

/**
 * `share` of the way from some numbers to others, where there are as many; from nowhere they come at once.
 * @param {Float32Array | null | undefined} from
 * @param {Float32Array} to
 * @param {number} share
 */
export function mixed(from, to, share) {
  if (share >= 1 || !from || from === to || from.length !== to.length) return to;
  const found = new Float32Array(to.length);
  for (let i = 0; i < to.length; i++) found[i] = Number.isNaN(from[i]) ? to[i] : from[i] + share * (to[i] - from[i]);
  return found;
}

/**
 * What a field is mixed of.
 * @type {WeakMap<Field, {from: Field, to: Field, share: number}>}
 */
export const mixtures = new WeakMap();

/**
 * @param {Field} from
 * @param {Field} to
 * @param {number} share
 * @returns {Field}
 */
function mixedField(from, to, share) {
  if (from.rows !== to.rows || from.columns !== to.columns) return to;
  const values = mixed(from.values, to.values, share);
  if (values === to.values) return to;
  const field = { ...to, values };
  mixtures.set(field, { from, to, share });
  return field;
}

/** @type {(one: Window, other: Window) => boolean} */
export const isSameWindow = (one, other) => one.every((side, i) => side.every((end, k) => end === other[i][k]));

/**
 * A density on its way to another. A mixture of two densities has the mass that they have.
 * @param {Density | undefined} from
 * @param {Density} to
 * @param {number} share
 * @returns {Density}
 */
export function mixedDensity(from, to, share) {
  if (share >= 1 || !from || from === to) return to;
  const parts = [from.part, to.part];
  const part = parts[0] && parts[1] && isSameWindow(parts[0].window, parts[1].window)
    ? { window: parts[1].window, field: mixedField(parts[0].field, parts[1].field, share) } : to.part;
  return { field: mixedField(from.field, to.field, share), top: from.top * (to.top / from.top) ** share, part };
}

/**
 * Where all is at a place between two stages, as far as these ways go: their nearest stage where they do not reach.
 * @param {Ways} ways
 * @param {number} at
 */
export function wayAt({ first, count, points, lines, linePoints }, at) {
  const place = Math.max(0, Math.min(count - 1, at - first));
  const k = Math.floor(place);
  /** @param {Float32Array} pairs */
  const there = (pairs) => {
    const size = pairs.length / count;
    const from = pairs.subarray(k * size, (k + 1) * size);
    return place === k ? from : mixed(from, pairs.subarray((k + 1) * size, (k + 2) * size), place - k);
  };
  return { at: first + place, points: there(points), lines: there(lines), linePoints };
}

/**
 * @param {Ways | null | undefined} from
 * @param {Ways} to
 * @param {number} at
 * @param {number} share
 */
export function mixedWayAt(from, to, at, share) {
  const there = wayAt(to, at);
  if (share >= 1 || !from || from === to) return there;
  const before = wayAt(from, there.at);
  if (before.at !== there.at) return there; // another depth is no beginning
  const [points, lines] = [mixed(before.points, there.points, share), mixed(before.lines, there.lines, share)];
  return { ...there, points, lines };
}

/**
 * A picture on its way from another, as it is drawn: for the next one to begin from.
 * @param {Picture | null} from
 * @param {Picture} to
 * @param {number} share
 * @returns {Picture}
 */
export function mixedPicture(from, to, share) {
  if (share >= 1 || !from) return to;
  const { ways } = to;
  const isSame = ways && from.ways && from.ways.first === ways.first && from.ways.count === ways.count;
  return {
    ...to,
    density: mixedDensity(from.density, to.density, share),
    believed: to.believed && mixedDensity(from.believed ?? undefined, to.believed, share),
    samples: to.samples && mixed(from.samples, to.samples, share),
    ways: ways && from.ways && isSame
      ? {
        ...ways,
        points: mixed(from.ways.points, ways.points, share),
        lines: mixed(from.ways.lines, ways.lines, share),
      }
      : ways,
  };
}

const TOP_QUANTILE = 0.995; // as in `app.quantise`

/**
 * Where the colours of a density end, so that a few sharp peaks do not leave the rest dark.
 * @param {Field} field
 */
export function topOf({ values }) {
  const finite = values.filter(Number.isFinite).sort();
  if (!finite.length) return 0;
  const place = TOP_QUANTILE * (finite.length - 1);
  const k = Math.floor(place);
  return finite[k] + (place - k) * ((finite[k + 1] ?? finite[k]) - finite[k]);
}

/**
 * Pairs as what layers draw, in the units of axes.
 * @param {Float32Array} pairs
 * @param {{centre: number, scale: number}[]} [axes]
 */
export function placesOf(pairs, axes) {
  const [x, y] = [new Float64Array(pairs.length / 2), new Float64Array(pairs.length / 2)];
  const [a, b] = axes ?? [{ centre: 0, scale: 1 }, { centre: 0, scale: 1 }];
  for (let i = 0; i < x.length; i++) {
    x[i] = a.centre + a.scale * pairs[2 * i];
    y[i] = b.centre + b.scale * pairs[2 * i + 1];
  }
  return { x, y };
}

/**
 * Lines of so many points each as one polyline, a gap after each; of each line every so many-th point.
 * @param {Float32Array} pairs
 * @param {number} points
 * @param {number} every
 */
export function polyline(pairs, points, every = 1) {
  const lines = pairs.length / (2 * points);
  const kept = Math.ceil(points / every) + 1;
  const [x, y] = [new Float64Array(lines * kept).fill(NaN), new Float64Array(lines * kept).fill(NaN)];
  for (let line = 0; line < lines; line++) {
    for (let k = 0; k < kept - 1; k++) {
      const at = 2 * (line * points + k * every);
      x[line * kept + k] = pairs[at];
      y[line * kept + k] = pairs[at + 1];
    }
  }
  return { x, y };
}
