// A pane or a chart, as Python has sent it, as a picture of the canvas library.

import { rgb } from "../canvas/colours.js";
import { PALETTES } from "../canvas/layers.js";
import { shown } from "../canvas/numbers.js";
import { panelOf } from "../canvas/panel.js";
import { logTicksOf, ticksOf } from "../canvas/ticks.js";
import { unpacked } from "../canvas/unpack.js";
import { bottomOf } from "./planes.js";

export const PLANE = { left: 52, right: 14, top: 8, bottom: 44 };
export const CHART = { ...PLANE, left: 66 }; // powers of ten are wide
const MOST_LEVEL = 254; // what is more is no number
const DASHES = { solid: [], dash: [9, 9], dot: [3, 3], dashdot: [9, 3, 3, 3], long: [18, 6], sparse: [3, 9] };
const SYMBOLS_OF_PATHS = ["circle", "square", "diamond", "cross", "triangle-up", "x"]; // of those with markers
const LIGHT = { ink: (alpha) => `rgba(49,51,63,${alpha})`, paper: "rgb(255,255,255)" };
const NEAR = 20; // pixels from the pointer within which a point is told

function fieldOf(packed, of = (v) => v) {
  const [rows, columns] = packed.shape;
  return { values: Float32Array.from(unpacked(packed), of), rows, columns };
}

/** Interleaved pairs -> {x, y}; of logarithms to base 10 where an axis is one, and there a gap where there is none. */
function pairsOf(packed, logs = [false, false]) {
  const raw = unpacked(packed);
  const [x, y] = logs.map((log, k) => Float64Array.from({ length: raw.length / 2 }, (_, i) => {
    const value = raw[2 * i + k];
    return !log ? value : value > 0 ? Math.log10(value) : NaN;
  }));
  return { x, y };
}

/** What a spec says, its arrays unpacked. */
export function readSpec(spec) {
  const isChart = spec.kind === "chart";
  const logs = isChart ? [spec.log_x, spec.log_y] : [false, false];
  const paths = spec.paths.map((path) => ({ ...path, ...pairsOf(path.points, logs) }));
  if (isChart) {
    const areas = spec.areas.map((area) => ({ ...area, low: pairsOf(area.low, logs), high: pairsOf(area.high, logs) }));
    const ranges = rangesOf([...paths, ...areas.flatMap(({ low, high }) => [low, high])], logs);
    return { ...spec, logs, paths, areas, ranges, levels: [], dots: [] };
  }
  const { heat } = spec;
  return {
    ...spec, logs, paths, ranges: spec.window,
    heat: heat && { ...heat, field: fieldOf(heat.level, (v) => (v > MOST_LEVEL ? NaN : v)) },
    areas: [],
    levels: spec.levels.map((level) => ({ ...level, field: fieldOf(level.values) })),
    dots: spec.dots.map((dots) => ({ ...dots, ...pairsOf(dots.points) })),
  };
}

/** Ranges that hold all points of these paths, with room around them where lines would touch the frame. */
function rangesOf(paths, logs) {
  const ends = [[Infinity, -Infinity], [Infinity, -Infinity]];
  for (const { x, y } of paths) {
    for (let i = 0; i < x.length; i++) {
      if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) continue;
      [x[i], y[i]].forEach((value, k) => { ends[k] = [Math.min(ends[k][0], value), Math.max(ends[k][1], value)]; });
    }
  }
  const hasMarkers = paths.some(({ markers }) => markers);
  return ends.map(([low, high], k) => {
    if (low > high) return [0, 1];
    if (k === 0 && !logs[0] && low === 0 && high === 0) return [0, 1]; // nothing but the beginning is known
    if (low === high) return logs[k] ? [low - 0.3, high + 0.3] : [low - 1, high + 1];
    const room = (k === 1 || hasMarkers ? 0.05 : 0) * (high - low);
    return [low - room, high + room];
  });
}

/** The page's own colours, but dark over a palette that is pale on a dark page too. */
const inkOver = ({ heat }, theme) => (heat?.palette === "signed" && theme.dark ? { ...theme, ...LIGHT } : theme);

/** How a path or a level looks in these colours. */
function lookOf({ colour, dash, width }, theme, halo = null) {
  return { colour: colour ?? theme.ink(0.9), dash: DASHES[dash], width, halo };
}

/** The marker of dots, or of the k-th path. */
function markerOf({ symbol, size, colour, width }, k, theme) {
  return symbol
    ? { symbol, size, colour: colour ?? theme.ink(0.9), edge: { width: 1, colour: theme.paper } }
    : { symbol: SYMBOLS_OF_PATHS[k % SYMBOLS_OF_PATHS.length], size: width + 4, colour: colour ?? theme.ink(0.9) };
}

/** All that has a name in the legend: {label, layers}. */
export function marksOf(read, theme) {
  const halo = read.heat ? theme.paper : null; // a line must be seen on every colour
  return [
    ...read.areas.map(({ label, low, high, colour, opacity }) => ({
      label, layers: [{ kind: "band", x: low.x, low: low.y, high: high.y, colour: `rgba(${rgb(colour)},${opacity})` }],
    })),
    ...read.levels.map(({ label, field, at: value, ...style }) => {
      const look = lookOf(style, theme, halo);
      return { label, layers: [{ kind: "contours", field, window: read.window, levels: [{ value }], ...look }] };
    }),
    ...pathMarks(read, theme, halo),
    ...read.dots.map(({ label, x, y, opacity, ...style }, k) => ({
      label, layers: [{ kind: "points", name: label, x, y, opacity, marker: markerOf(style, k, theme) }],
    })),
  ];
}

/** A path without a name belongs to the one before it. */
function pathMarks({ paths }, theme, halo) {
  const marks = [];
  paths.forEach(({ label, x, y, markers, ...style }, k) => {
    const layers = [{ kind: "line", name: label, x, y, ...lookOf(style, theme, halo) }];
    if (markers) layers.push({ kind: "points", x, y, marker: markerOf(style, k, theme), untold: true });
    if (label || !marks.length) marks.push({ label, layers });
    else marks.at(-1).layers.push(...layers);
  });
  return marks;
}

/** The axes, what is drawn in them and the colour bar; `hidden`: the labels that the legend has switched off. */
export function pictureOf(read, theme, { ranges, chosen, hidden }) {
  const ticks = read.logs.map((log) => (log ? logTicksOf : ticksOf));
  const [x, y] = [read.x, read.y].map((title, k) => ({ title, range: (ranges ?? read.ranges)[k], ticks: ticks[k] }));
  const layers = marksOf(read, inkOver(read, theme)).flatMap(({ label, layers: own }) =>
    own.map((layer) => ({ ...layer, series: label, visible: !hidden.has(label) })));
  if (read.kind === "chart") return { x, y, layers, margin: CHART, grid: true };
  const { heat, window } = read;
  const range = [0, MOST_LEVEL];
  if (heat) {
    const palette = PALETTES[heat.palette];
    const numbers = { series: heat.name, toValue: valuesOf(heat), told: toldAs(heat) };
    layers.unshift({ kind: "field", field: heat.field, window, range, palette, crisp: !heat.smooth, ...numbers });
  }
  if (chosen) layers.push({ kind: "ring", x: chosen[0], y: chosen[1] });
  return { x, y, layers, ratio: read.square ? 1 : undefined, margin: PLANE, bar: heat?.bar && colourBarOf(heat) };
}

/** Level -> value. What is beyond the colours is as the colour at their end. */
const valuesOf = ({ range: [low, high], log }) => (level) => {
  const value = low + (level / MOST_LEVEL) * (high - low);
  return log ? 10 ** value : value;
};

/** What the values are, and how finely: colours have so many levels. */
function toldAs({ name, unit, range: [low, high], log }) {
  const step = (high - low) / MOST_LEVEL;
  const fine = log ? `to ${shown(50 * (10 ** step - 1))} %` : `to ${shown(step / 2)}`;
  return `${name} (${[unit, fine].filter(Boolean).join(", ")})`;
}

function colourBarOf({ name, unit, range, palette, log }) {
  const [low, high] = range;
  return {
    title: unit ? `${name} (${unit})` : name, range: [low, high > low ? high : low + 1], palette: PALETTES[palette],
    ticks: log ? logTicksOf : ticksOf,
  };
}

/** What stands at a place, in words: the nearest point that is marked, of several the topmost, else what the colours
 * say. */
export function toldOf(read, { picture, at }, place) {
  const [p, q] = [at.x(place[0]), at.y(place[1])];
  let [least, found] = [NEAR, null];
  for (const { name, x, y, visible } of picture.layers) {
    if (name === undefined || visible === false) continue;
    for (let i = 0; i < x.length; i++) {
      const way = Math.hypot(at.x(x[i]) - p, at.y(y[i]) - q);
      if (way <= least) [least, found] = [way, { name, point: [x[i], y[i]] }];
    }
  }
  if (!found) return read.heat ? toldHeat(read, place) : "";
  const numbers = found.point.map((value, k) => shown(read.logs[k] ? 10 ** value : value));
  return [found.name, ...[read.x, read.y].map((name, k) => `${name} = ${numbers[k]}`)].filter(Boolean).join("\n");
}

function toldHeat({ heat: { field, range: [low, high], name, unit, log, cut }, window }, [x, y]) {
  const [column, row] = [[x, window[0], field.columns], [y, window[1], field.rows]].map(([v, [from, to], nodes]) =>
    Math.round(((v - from) / (to - from)) * (nodes - 1)));
  if (!(column >= 0 && column < field.columns && row >= 0 && row < field.rows)) return "";
  const level = field.values[row * field.columns + column];
  if (Number.isNaN(level)) return `${name}: no number`;
  const value = low + (level / MOST_LEVEL) * (high - low);
  const sign = level === MOST_LEVEL && cut[1] ? "≥ " : level === 0 && cut[0] ? "≤ " : "";
  return `${name} ${sign}${shown(log ? 10 ** value : value)} ${unit}`.trim();
}

/** A pane as a panel of a sheet, its plot in its size on the page. It has the legend that the page may have no room
 * for. */
export function panelOfPane(pane, picture, theme) {
  const { spec, read, hidden, box } = pane;
  const { title, note, alt } = spec;
  const legend = marksOf(read, theme).filter(({ label }) => label && label !== title && !hidden.has(label));
  const height = box.clientHeight + picture.margin.bottom - bottomOf(spec);
  return panelOf({ title, note, alt, picture, width: box.clientWidth, height, legend });
}
