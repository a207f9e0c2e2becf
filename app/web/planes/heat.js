// The colours of a pane: from numbers that were sent, as levels or as they are; or from the density of a flow, which is
// computed here.

import { finer } from "../canvas/field.js";
import { PALETTES } from "../canvas/layers.js";
import { shown } from "../canvas/numbers.js";
import { quantileOf } from "../canvas/quantile.js";
import { logTicksOf, ticksOf } from "../canvas/ticks.js";
import { unpacked } from "../canvas/unpack.js";

/** @import { Evaluated } from "./evaluated.js" */
/** @import { Bar, Field, Layer, Packed, Place, Range } from "../canvas/types.js" */
/** @import { Coloured, Heat, HeatSpec, Palette, Read } from "./types.js" */

const MOST_LEVEL = 254; // what is more is no number
const TOP_QUANTILE = 0.995; // as `app.quantise.TOP_QUANTILE`

/**
 * @param {Packed} packed
 * @param {(value: number) => number} of
 */
export function fieldOf(packed, of = (v) => v) {
  const [rows, columns] = packed.shape;
  return { values: Float32Array.from(unpacked(packed), of), rows, columns };
}

/**
 * The numbers of a heat unpacked, as far as it has some.
 *
 * @param {HeatSpec} spec
 * @returns {Heat}
 */
export function readHeat(spec) {
  if ("level" in spec) return { ...spec, field: fieldOf(spec.level, (v) => (v > MOST_LEVEL ? Number.NaN : v)) };
  if (!("values" in spec)) return spec;
  const field = fieldOf(spec.values);
  return { ...spec, field, top: topOf(field) };
}

/** Where colours end, so that a few sharp peaks do not leave the rest dark. @param {Field} field */
export const topOf = ({ values }) => quantileOf(values, TOP_QUANTILE);

/**
 * Where the colours end of all panes of a row that have no end of their own.
 *
 * @param {{read: Read, evaluated: Evaluated}[]} panes
 */
export function topOfAll(panes) {
  return Math.max(0, ...panes.map(({ read: { heat }, evaluated }) => {
    if (heat && "values" in heat) return heat.top;
    return heat && "flow" in heat && heat.high === null ? evaluated.top : 0;
  }));
}

/** Whether the colours of a pane end where those of the whole row do. @param {Read} read */
export const sharesTop = ({ heat }) => heat !== null && ("values" in heat || ("flow" in heat && heat.high === null));

/**
 * What is drawn as colours; null where there is nothing yet. `top` is where those colours end that have no end of their
 * own.
 *
 * @param {Read} read
 * @param {Evaluated} evaluated
 * @param {number} top
 * @returns {Coloured | null}
 */
export function colouredOf({ heat, window }, evaluated, top) {
  if (!heat) return null;
  if ("level" in heat) {
    const { field, range: ends, cut, log } = heat;
    const [low, high] = ends;
    const toValue = (/** @type {number} */ level) => {
      const value = low + (level / MOST_LEVEL) * (high - low);
      return log ? 10 ** value : value;
    };
    return { field, nodes: field, window, range: [0, MOST_LEVEL], ends, toValue, told: toldAsLevels(heat, ends), cut };
  }
  /** @type {Range} */
  const range = [heat.low, ("flow" in heat ? heat.high : null) ?? (top || heat.low + 1)];
  const known = { range, ends: range, toValue: (/** @type {number} */ value) => value, told: titleOf(heat) };
  if ("values" in heat) {
    const field = heat.smooth ? finer(heat.field) : heat.field;
    return { ...known, field, nodes: heat.field, window, cut: [false, false] };
  }
  const { field, nodes, ranges } = evaluated;
  return field && nodes && ranges && { ...known, field, nodes, window: ranges, cut: [false, false] };
}

/**
 * What the values are, and how finely: colours have so many levels.
 *
 * @param {Palette} palette
 * @param {Range} ends
 */
function toldAsLevels({ name, unit, log }, [low, high]) {
  const step = (high - low) / MOST_LEVEL;
  const fine = log ? `to ${shown(50 * (10 ** step - 1))} %` : `to ${shown(step / 2)}`;
  return `${name} (${[unit, fine].filter(Boolean).join(", ")})`;
}

/** @param {Palette} palette */
const titleOf = ({ name, unit }) => (unit ? `${name} (${unit})` : name);

/**
 * @param {Palette} palette
 * @param {Coloured} coloured
 * @returns {Bar}
 */
export function colourBarOf(palette, { ends: [low, high] }) {
  return {
    title: titleOf(palette), range: [low, high > low ? high : low + 1], palette: PALETTES[palette.palette],
    ticks: palette.log ? logTicksOf : ticksOf,
  };
}

/**
 * The field as a layer of a picture.
 *
 * @param {Palette} palette
 * @param {Coloured} coloured
 * @returns {Layer}
 */
export function layerOf({ palette, smooth, name }, { field, nodes, window, range, toValue, told }) {
  const look = { palette: PALETTES[palette], crisp: !smooth };
  return { kind: "field", field, nodes, window, range, ...look, series: name, toValue, told };
}

/**
 * The value at the node that is nearest to a place, in words; "" beside the field.
 *
 * @param {Palette} palette
 * @param {Coloured} coloured
 * @param {Place} place
 */
export function toldHeat({ name, unit }, { nodes: field, window, range, toValue, cut }, [x, y]) {
  /** @type {(value: number, range: Range, nodes: number) => number} */
  const nodeAt = (value, [from, to], nodes) => Math.round(((value - from) / (to - from)) * (nodes - 1));
  const [column, row] = [nodeAt(x, window[0], field.columns), nodeAt(y, window[1], field.rows)];
  if (!(column >= 0 && column < field.columns && row >= 0 && row < field.rows)) return "";
  const number = field.values[row * field.columns + column];
  if (Number.isNaN(number)) return `${name}: no number`;
  const sign = number === range[1] && cut[1] ? "≥ " : number === range[0] && cut[0] ? "≤ " : "";
  return `${name} ${sign}${shown(toValue(number))} ${unit}`.trim();
}
