// A pane or a chart, as Python has sent it, as a picture of the canvas library.

import { rgb } from "../canvas/colours.js";
import { shown } from "../canvas/numbers.js";
import { panelOf } from "../canvas/panel.js";
import { logTicksOf, ticksOf } from "../canvas/ticks.js";
import { unpacked } from "../canvas/unpack.js";
import { colourBarOf, colouredOf, fieldOf, layerOf, readHeat, toldHeat } from "./heat.js";
import { bottomOf } from "./planes.js";

/** @import { Evaluated } from "./evaluated.js" */
/** @import { Layer, Margin, Marker, Packed, Picture, Place, Range, Theme, Window } from "../canvas/types.js" */
/** @import { Dots, Line, Mark, Pairs, Pane, Read, Spec } from "./types.js" */

export const PLANE = { left: 52, right: 14, top: 8, bottom: 44 };
export const CHART = { ...PLANE, left: 66 }; // powers of ten are wide
/** @type {Record<string, number[]>} */
const DASHES = { solid: [], dash: [9, 9], dot: [3, 3], dashdot: [9, 3, 3, 3], long: [18, 6], sparse: [3, 9] };
const SYMBOLS_OF_PATHS = ["circle", "square", "diamond", "cross", "triangle-up", "x"]; // of those with markers
/** @type {Pick<Theme, "ink" | "paper">} */
const LIGHT = { ink: (alpha) => `rgba(49,51,63,${alpha})`, paper: "rgb(255,255,255)" };
const NEAR = 20; // pixels from the pointer within which a point is told

/**
 * Interleaved pairs -> {x, y}; of logarithms to base 10 where an axis is one, and there a gap where there is none.
 *
 * @param {Packed} packed
 * @param {boolean[]} logs
 * @returns {Pairs}
 */
function pairsOf(packed, logs = [false, false]) {
  const raw = unpacked(packed);
  const [x, y] = logs.map((log, k) => Float64Array.from({ length: raw.length / 2 }, (_, i) => {
    const value = raw[2 * i + k];
    return !log ? value : value > 0 ? Math.log10(value) : NaN;
  }));
  return { x, y };
}

/**
 * What a spec says, its arrays unpacked.
 *
 * @param {Spec} spec
 * @returns {Read}
 */
export function readSpec(spec) {
  const { kind, x, y } = spec;
  /** @type {[boolean, boolean]} */
  const logs = spec.kind === "chart" ? [spec.log_x, spec.log_y] : [false, false];
  const paths = spec.paths.map((path) => ({ ...path, ...pairsOf(path.points, logs) }));
  if (spec.kind === "chart") {
    const areas = spec.areas.map((area) => ({ ...area, low: pairsOf(area.low, logs), high: pairsOf(area.high, logs) }));
    const ranges = rangesOf([...paths, ...areas.flatMap(({ low, high }) => [low, high])], logs);
    return { kind, x, y, logs, paths, areas, ranges, window: ranges, heat: null, levels: [], dots: [], square: false };
  }
  const { heat, window, square } = spec;
  return {
    kind, x, y, logs, paths, ranges: window, window, square,
    heat: heat && readHeat(heat),
    areas: [],
    levels: spec.levels.map((level) => ({ ...level, field: fieldOf(level.values) })),
    dots: spec.dots.map((dots) => ("flow" in dots ? dots : { ...dots, ...pairsOf(dots.points) })),
  };
}

/**
 * Ranges that hold all points of these paths, with room around them where lines would touch the frame.
 *
 * @param {(Pairs & {markers?: boolean})[]} paths
 * @param {boolean[]} logs
 * @returns {Window}
 */
function rangesOf(paths, logs) {
  const ends = [[Infinity, -Infinity], [Infinity, -Infinity]];
  for (const { x, y } of paths) {
    for (let i = 0; i < x.length; i++) {
      if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) continue;
      [x[i], y[i]].forEach((value, k) => { ends[k] = [Math.min(ends[k][0], value), Math.max(ends[k][1], value)]; });
    }
  }
  const hasMarkers = paths.some(({ markers }) => markers);
  /**
   * @param {number[]} ends
   * @param {number} k
   * @returns {Range}
   */
  const roomy = ([low, high], k) => {
    if (low > high) return [0, 1];
    if (k === 0 && !logs[0] && low === 0 && high === 0) return [0, 1]; // nothing but the beginning is known
    if (low === high) return logs[k] ? [low - 0.3, high + 0.3] : [low - 1, high + 1];
    const room = (k === 1 || hasMarkers ? 0.05 : 0) * (high - low);
    return [low - room, high + room];
  };
  return [roomy(ends[0], 0), roomy(ends[1], 1)];
}

/**
 * The page's own colours, but dark over a palette that is pale on a dark page too.
 *
 * @param {Read} read
 * @param {Theme} theme
 * @returns {Theme}
 */
const inkOver = ({ heat }, theme) => (heat?.palette === "signed" && theme.dark ? { ...theme, ...LIGHT } : theme);

/**
 * How a path or a level looks in these colours.
 *
 * @param {Omit<Line, "label">} line
 * @param {Theme} theme
 * @param {string | null} halo
 */
function lookOf({ colour, dash, width }, theme, halo = null) {
  return { colour: colour ?? theme.ink(0.9), dash: DASHES[dash], width, halo };
}

/**
 * The marker of dots, or of the k-th path.
 *
 * @param {{symbol?: string, size?: number, colour: string | null, width?: number}} look
 * @param {number} k
 * @param {Theme} theme
 * @returns {Marker}
 */
function markerOf({ symbol, size = 0, colour, width = 0 }, k, theme) {
  return symbol
    ? { symbol, size, colour: colour ?? theme.ink(0.9), edge: { width: 1, colour: theme.paper } }
    : { symbol: SYMBOLS_OF_PATHS[k % SYMBOLS_OF_PATHS.length], size: width + 4, colour: colour ?? theme.ink(0.9) };
}

/**
 * The places of dots: those that were sent, or samples, as far as these are known.
 *
 * @param {Dots} dots
 * @param {Evaluated} evaluated
 * @returns {Pairs}
 */
function placesOf(dots, { samples }) {
  if (!("flow" in dots)) return dots;
  const [x, y] = [samples?.x, samples?.y].map((values) => values?.subarray(0, dots.count) ?? new Float64Array(0));
  return { x, y };
}

/**
 * All that has a name in the legend.
 *
 * @param {Read} read
 * @param {Evaluated} evaluated
 * @param {Theme} theme
 * @returns {Mark[]}
 */
export function marksOf(read, evaluated, theme) {
  const halo = read.heat ? theme.paper : null; // a line must be seen on every colour
  /** @type {(label: string, layer: Layer) => Mark} */
  const mark = (label, layer) => ({ label, layers: [layer] });
  return [
    ...read.areas.map(({ label, low, high, colour, opacity }) =>
      mark(label, { kind: "band", x: low.x, low: low.y, high: high.y, colour: `rgba(${rgb(colour)},${opacity})` })),
    ...read.levels.map(({ label, field, at: value, ...style }) => {
      const look = lookOf(style, theme, halo);
      return mark(label, { kind: "contours", field, window: read.window, levels: [{ value }], ...look });
    }),
    ...pathMarks(read, theme, halo),
    ...read.dots.map((dots, k) => {
      const { label, opacity } = dots;
      const marker = markerOf(dots, k, theme);
      return mark(label, { kind: "points", name: label, ...placesOf(dots, evaluated), opacity, marker });
    }),
  ];
}

/**
 * A path without a name belongs to the one before it.
 *
 * @param {Read} read
 * @param {Theme} theme
 * @param {string | null} halo
 */
function pathMarks({ paths }, theme, halo) {
  /** @type {Mark[]} */
  const marks = [];
  paths.forEach(({ label, x, y, markers, ...style }, k) => {
    /** @type {Mark["layers"]} */
    const layers = [{ kind: "line", name: label, x, y, ...lookOf(style, theme, halo) }];
    if (markers) layers.push({ kind: "points", x, y, marker: markerOf(style, k, theme), untold: true });
    const last = marks.at(-1);
    if (label || !last) marks.push({ label, layers });
    else last.layers.push(...layers);
  });
  return marks;
}

/**
 * The axes, what is drawn in them and the colour bar; `hidden`: the labels that the legend has switched off.
 *
 * @param {Read} read
 * @param {Theme} theme
 * @param {object} shown
 * @param {Window | null} [shown.ranges]
 * @param {Place | null} shown.chosen
 * @param {Set<string>} shown.hidden
 * @param {Evaluated} shown.evaluated
 * @param {number} shown.top  where those colours end that have no end of their own
 * @returns {Picture & {margin: Margin}}
 */
export function pictureOf(read, theme, { ranges, chosen, hidden, evaluated, top }) {
  const ticks = read.logs.map((log) => (log ? logTicksOf : ticksOf));
  const [x, y] = [read.x, read.y].map((title, k) => ({ title, range: (ranges ?? read.ranges)[k], ticks: ticks[k] }));
  /** @type {Picture["layers"]} */
  const layers = marksOf(read, evaluated, inkOver(read, theme)).flatMap(({ label, layers: own }) =>
    own.map((layer) => ({ ...layer, series: label, visible: !hidden.has(label) })));
  if (read.kind === "chart") return { x, y, layers, margin: CHART, grid: true };
  const { heat } = read;
  const coloured = colouredOf(read, evaluated, top);
  if (heat && coloured) layers.unshift(layerOf(heat, coloured));
  if (chosen) layers.push({ kind: "ring", x: chosen[0], y: chosen[1] });
  const bar = heat?.bar && coloured && colourBarOf(heat, coloured);
  return { x, y, layers, ratio: read.square ? 1 : undefined, margin: PLANE, bar };
}

/**
 * What stands at a place, in words: the nearest point that is marked, of several the topmost; else what the colours
 * say.
 *
 * @param {Pane} pane
 * @param {number} top  where those colours end that have no end of their own
 * @param {Place} place
 */
export function toldOf({ read, evaluated, surface }, top, place) {
  const { picture, at } = surface;
  if (!picture || !at) return "";
  const [p, q] = [at.x(place[0]), at.y(place[1])];
  let least = NEAR;
  /** @type {{name: string, point: Place} | null} */
  let found = null;
  for (const layer of picture.layers) {
    const { name, visible } = layer;
    if (name === undefined || visible === false || (layer.kind !== "points" && layer.kind !== "line")) continue;
    const { x, y } = layer;
    for (let i = 0; i < x.length; i++) {
      const way = Math.hypot(at.x(x[i]) - p, at.y(y[i]) - q);
      if (!(way <= least)) continue; // nor where a line has a gap
      least = way;
      found = { name, point: [x[i], y[i]] };
    }
  }
  const coloured = found ? null : colouredOf(read, evaluated, top);
  if (!found) return read.heat && coloured ? toldHeat(read.heat, coloured, place) : "";
  const numbers = found.point.map((value, k) => shown(read.logs[k] ? 10 ** value : value));
  return [found.name, ...[read.x, read.y].map((name, k) => `${name} = ${numbers[k]}`)].filter(Boolean).join("\n");
}

/**
 * A pane as a panel of a sheet, its plot in its size on the page. It has the legend that the page may have no room for.
 *
 * @param {Pane} pane
 * @param {Picture & {margin: Margin}} picture
 * @param {Theme} theme
 */
export function panelOfPane(pane, picture, theme) {
  const { spec, read, hidden, box, evaluated, note: { textContent: note } } = pane;
  const { title, alt } = spec;
  const legend = marksOf(read, evaluated, theme).filter(({ label }) => label && label !== title && !hidden.has(label));
  const height = box.clientHeight + picture.margin.bottom - bottomOf(spec);
  return panelOf({ title, note, alt, picture, width: box.clientWidth, height, legend });
}
