// The planes: data space with the flow's density, the truth, or their difference; and latent space, or the place on the
// way there. State -> picture.

import { finer, levelsOfMass, valueAt } from "../canvas/field.js";
import { shown } from "../canvas/numbers.js";
import { drawnBelief, drawnDensity, drawnSamples } from "./clock.js";
import { decode, fieldOf } from "./decode.js";
import { lastStage, letterOf, placeOf } from "./depth.js";
import { mixtures, placesOf, polyline, wayAt } from "./picture.js";
import { probeInData, probeInFlow, probeReach } from "./probe.js";
import { COLOURS, dataPoints, DENSITY, DIFFERENCE } from "./theme.js";

/** @import { Bar, ContoursLayer, Field, FieldLayer, Layer, Picture } from "../canvas/types.js" */
/** @import { Place, PointsLayer, Range, Theme, Window } from "../canvas/types.js" */
/** @import { Density, Ways } from "./picture.js" */
/** @import { Painter, Shows, Truth, View } from "./types.js" */

/** @typedef {{ plane: Window, titles: string[], ratio: number, area: number }} Space the data space as it is shown */

/** @typedef {{ window: Window, field: Field }} Part of a plane that is looked at closely */

/** @typedef {{ value: number, text?: string }[]} Levels of contours */

/** @type {[number, string][]} */
export const CIRCLES = [[1, "39 %"], [2, "86 %"], [3, "98.9 %"]]; // radius, mass of the normal inside: 1 - exp(-r²/2)
const LATENT_SIDE = 4; // latent space is shown from -4 to 4, and a place on the way as far as its points go
const MASSES = [0.25, 0.5, 0.75, 0.95]; // of a density, that its contours enclose: of what lies in the window
const WHILE_TRAVELLING = 2; // between two stages every second point of a grid line is enough
const SHARED = "density, the same colours in both";
const BELIEVED = "density that training believes in";
/** @type {Map<string | null, Truth>} */
export const truths = new Map(); // data set -> its true density, as `live.mount_truth` brought it

/** @type {(view: View) => Truth | undefined} */
const truthOf = (view) => truths.get(view.scene.truth);

/** @type {(axes: View["scene"]["axes"], window: Window) => Window} */
function inAxes(axes, window) {
  /** @type {(side: Range, axis: { centre: number, scale: number }) => Range} */
  const shown = ([low, high], { centre, scale }) => [centre + scale * low, centre + scale * high];
  return [shown(window[0], axes[0]), shown(window[1], axes[1])];
}

/**
 * The data space in the units of its axes: window, titles, and the area of one unit square of the flow.
 * @type {(view: View) => Space}
 */
export function dataSpace({ scene: { axes, window } }) {
  return {
    plane: inAxes(axes, window),
    titles: axes.map((a) => (a.unit ? `${a.name} (${a.unit})` : a.name)),
    ratio: Math.abs(axes[0].scale / axes[1].scale), // so that the flow's units are equal
    area: axes[0].scale * axes[1].scale,
  };
}

/**
 * Where the contours of a density run: of its mass in the whole window. Worked out once for each.
 * @type {(field: Field) => number[]}
 */
const massLevels = (field) => memo(field, "levels", () => {
  const mixture = mixtures.get(field);
  if (!mixture) return levelsOfMass(field, MASSES);
  const [from, to] = [mixture.from, mixture.to].map(massLevels); // on the way they move evenly
  return to.map((level, k) => from[k] + mixture.share * (level - from[k]));
});

/**
 * The same, with the texts that stand on the contours.
 * @type {(field: Field, area?: number) => Levels}
 */
const namedLevels = (field, area = 1) =>
  massLevels(field).map((value, k) => ({ value: value / area, text: `${100 * MASSES[k]} %` }));

/**
 * Colours and contours of a density over the plane and, finer, over a `part` of it that is looked at closely.
 * @type {(view: View, field: Field, plane: Window, top: number, visible: boolean, more?: { part?: Part | null, name?:
 *   string, levels?: Levels }) => (FieldLayer | ContoursLayer)[]}
 */
export function densityLayers(view, field, plane, top, visible, more = {}) {
  const { part = null, name = "density", levels = namedLevels(field) } = more;
  const covers = coversRange(view, part);
  /** @type {(nodes: Field, window: Window, untold: boolean) => FieldLayer} */
  const coloured = (nodes, window, untold) => ({
    kind: "field", name, nodes, field: fineOf(nodes), window, range: [0, top], palette: DENSITY, visible, untold,
  });
  const fields = [coloured(field, plane, covers)];
  if (part) fields.push(coloured(part.field, part.window, !covers));
  const { field: fine, window } = fields[covers ? 1 : 0];
  return [...fields, {
    kind: "contours", field: fine, window, levels, visible,
    series: "contour that encloses", colour: "rgba(255,255,255,0.55)", width: 0.9, named: !view.scene.playing,
  }];
}

/**
 * Whether all that is looked at closely is known closely.
 * @type {(view: View, part: Part | null) => boolean}
 */
const coversRange = ({ zoom: { data } }, part) => Boolean(part && data?.every(([low, high], i) => {
  const [from, to] = part.window[i];
  const spare = 1e-6 * (high - low);
  return from <= low + spare && to >= high - spare;
}));

/** @type {WeakMap<object, Map<string, unknown>>} */
const made = new WeakMap(); // field -> what was worked out of it, by its name

/**
 * @template Made
 * @param {object} field
 * @param {string} name
 * @param {() => Made} make
 * @returns {Made}
 */
function memo(field, name, make) {
  const known = made.get(field) ?? new Map();
  made.set(field, known);
  if (!known.has(name)) known.set(name, make());
  return known.get(name);
}

/** @type {(field: Field) => Field} */
const fineOf = (field) => memo(field, "finer", () => finer(field));

/** @type {(field: Field, area: number) => Field} */
const scaled = (field, area) => (area === 1 ? field
  : memo(field, `per ${area}`, () => ({ ...field, values: field.values.map((value) => value / area) })));

/**
 * A density as the axes have it: per unit area of theirs, with a part of it only where somebody looks closely.
 * @type {(view: View, density: Density, space: Space) => { field: Field, top: number, levels: Levels, part: Part | null
 *   }}
 */
function shownDensity(view, { field, top, part }, { area }) {
  return {
    field: scaled(field, area), top: top / area, levels: namedLevels(field, area),
    part: part && view.zoom.data
      ? { field: scaled(part.field, area), window: inAxes(view.scene.axes, part.window) } : null,
  };
}

/** @type {(view: View, space: Space, layers: Layer[], bar: Bar | null) => Picture} */
function spacePicture(view, space, layers, bar) {
  const [x, y] = view.zoom.data ?? space.plane;
  const axes = { x: { title: space.titles[0], range: x }, y: { title: space.titles[1], range: y } };
  const [ground] = layers;
  const over =
    ground?.kind === "field" && ground.visible !== false ? (ground.palette === DENSITY ? "dark" : "light") : "";
  return { ...axes, ratio: space.ratio, layers, bar: over ? bar : null, over };
}

/**
 * The data's points stand still, and so in front of all that does not: also of samples.
 * @type {(view: View, theme: Theme, visible: boolean, over: boolean) => PointsLayer}
 */
function dataLayer(view, theme, visible, over) {
  const { scene } = view;
  const pairs = /** @type {Float32Array} */ (decode(scene.points));
  const points = memo(scene.points, "places", () => placesOf(pairs, scene.axes));
  return { ...dataPoints(view, theme, points, visible, { size: 4.5, over }), still: [scene.points, over] };
}

/** @type {Painter} */
export function paneData(view, theme) {
  const { picture, layers: { data: on } } = view;
  const space = dataSpace(view);
  const shared = view.shows === "truth" && truthOf(view);
  /** @type {Layer[]} */
  const layers = [];
  /** @type {Bar | null} */
  let bar = null;
  if (picture) {
    const { field, top: own, part, levels } = shownDensity(view, drawnDensity(view, picture), space);
    const top = shared ? shared.shown / space.area : own;
    layers.push(...densityLayers(view, field, space.plane, top, on.density, { part, levels }));
    const isShared = shared || view.shows === "believed";
    bar = { title: isShared ? SHARED : "density per unit area", range: [0, top], palette: DENSITY };
  }
  const samples = picture && drawnSamples(view, picture);
  if (samples) {
    const edge = { width: 0.6, colour: "rgba(12,12,24,0.7)" };
    const marker = { size: 5.5, symbol: "diamond", colour: COLOURS.samples, edge };
    const points = placesOf(samples, view.scene.axes);
    layers.push({ kind: "points", name: "samples", ...points, marker, visible: on.samples });
  }
  layers.push(dataLayer(view, theme, on.data, Boolean(picture && on.density)), ...probeInData(view));
  return spacePicture(view, space, layers, bar);
}

/** @type {Painter} */
function paneTruth(view, theme) {
  const { layers: { latent: on } } = view;
  const [space, truth] = [dataSpace(view), truthOf(view)];
  /** @type {Layer[]} */
  const layers = [];
  /** @type {Bar | null} */
  let bar = null;
  if (truth) {
    const top = truth.shown / space.area;
    const field = fieldOf(truth.density, truth.largest / space.area);
    layers.push(...densityLayers(view, field, space.plane, top, true));
    bar = { title: SHARED, range: [0, top], palette: DENSITY };
  }
  layers.push(dataLayer(view, theme, on.data, true), ...probeInData(view));
  return spacePicture(view, space, layers, bar);
}

/**
 * What training believes in, in the colours of the flow's density.
 * @type {Painter}
 */
function paneBelieved(view, theme) {
  const { picture, layers: { latent: on } } = view;
  const space = dataSpace(view);
  /** @type {Layer[]} */
  const layers = [];
  /** @type {Bar | null} */
  let bar = null;
  const belief = picture && drawnBelief(view, picture);
  if (picture && belief) {
    const { field, part, levels } = shownDensity(view, belief, space);
    const top = drawnDensity(view, picture).top / space.area;
    layers.push(...densityLayers(view, field, space.plane, top, true, { part, levels, name: BELIEVED }));
    bar = { title: SHARED, range: [0, top], palette: DENSITY };
  }
  layers.push(dataLayer(view, theme, on.data, true), ...probeInData(view));
  return spacePicture(view, space, layers, bar);
}

/**
 * The true density at the nodes of a field: its own nodes where it has as many, else between them.
 * @type {(field: Field, window: Window, truth: Truth, space: Space) => Float32Array}
 */
function trueAt({ rows, columns }, window, truth, space) {
  const field = fieldOf(truth.density, truth.largest / space.area);
  if (rows === field.rows && columns === rows && window === space.plane) return field.values;
  const [[x0, x1], [y0, y1]] = window;
  const values = new Float32Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    const y = y0 + ((y1 - y0) * r) / (rows - 1);
    for (let c = 0; c < columns; c++) {
      values[r * columns + c] = valueAt(field, space.plane, [x0 + ((x1 - x0) * c) / (columns - 1), y]);
    }
  }
  return values;
}

/**
 * Beyond the window, where nobody has asked for the truth, it is no number.
 * @type {(field: Field, window: Window, truth: Truth, space: Space) => Field}
 */
function minusTruth(field, window, truth, space) {
  const true_ = trueAt(field, window, truth, space);
  return { ...field, values: field.values.map((p, i) => p - true_[i]) };
}

/** @type {Painter} */
function paneDifference(view, theme) {
  const { picture, layers: { latent: on } } = view;
  const space = dataSpace(view);
  const truth = truthOf(view);
  /** @type {Layer[]} */
  const layers = [];
  /** @type {Bar | null} */
  let bar = null;
  if (truth && picture) {
    const { field: model, part } = shownDensity(view, drawnDensity(view, picture), space);
    const top = truth.shown / space.area;
    const covers = coversRange(view, part);
    /** @type {(nodes: Field, window: Window, untold: boolean) => FieldLayer} */
    const signed = (nodes, window, untold) => {
      const field = memo(nodes, `minus ${view.scene.truth}`, () => minusTruth(nodes, window, truth, space));
      return { kind: "field", name: "difference", nodes: field, field: fineOf(field), window, range: [-top, top],
        palette: DIFFERENCE, untold };
    };
    layers.push(signed(model, space.plane, covers));
    if (part) layers.push(signed(part.field, part.window, !covers));
    bar = { title: "model − truth, per unit area", range: [-top, top], palette: DIFFERENCE };
  }
  layers.push(dataLayer(view, theme, on.data, true), ...probeInData(view));
  return spacePicture(view, space, layers, bar);
}

/**
 * Half the side of a square around 0 that shows nearly all points, and at least latent space.
 * @type {(places: { x: Float64Array, y: Float64Array }) => number}
 */
export function reach({ x, y }) {
  const sizes = Float64Array.from(x, (value, i) => Math.max(Math.abs(value), Math.abs(y[i]))).filter(Number.isFinite);
  const most = sizes.sort()[Math.floor(0.99 * (sizes.length - 1))] ?? 0;
  return Math.max(LATENT_SIDE, 1.1 * most);
}

/**
 * The same of the data at a stage, on the way from one picture to the next.
 * @type {(view: View, at: number) => number}
 */
function reachOf({ before, picture, share }, at) {
  /** @type {(ways: Ways) => number} */
  const known = (ways) => {
    return memo(ways, `reach at ${at}`, () => reach(placesOf(wayAt(ways, at).points)));
  };
  if (!picture?.ways) return LATENT_SIDE;
  const to = known(picture.ways);
  return share < 1 && before?.ways ? known(before.ways) + share * (to - known(before.ways)) : to;
}

/** @type {Painter} */
function paneLatent(view, theme) {
  const { scene, layers: { latent: on } } = view;
  const place = placeOf(view);
  const far = place ? Math.max(reachOf(view, place.at), 1.1 * probeReach(view)) : LATENT_SIDE;
  const side = Math.min(scene.frame_window[1], far);
  /** @type {Layer[]} */
  const layers = [];
  if (place) {
    const every = Number.isInteger(place.at) ? 1 : WHILE_TRAVELLING;
    const lines = polyline(place.lines, place.linePoints, every);
    const look = { colour: theme.grid, width: 0.9, opacity: 0.6 };
    layers.push({ kind: "line", name: "grid", ...lines, ...look, visible: on.grid });
    layers.push(dataPoints(view, theme, placesOf(place.points), on.data, { size: 4, over: false }));
  }
  const letter = letterOf(view, place?.at ?? lastStage(view));
  layers.push({
    kind: "circles", name: "circles", radii: CIRCLES, colour: theme.ink(0.6), still: [],
    visible: on.circles && letter === "z", // what they say is true of z alone
  });
  const [x, y] = view.zoom.latent ?? [[-side, side], [-side, side]];
  if (place) layers.push(...probeInFlow(view, place.at));
  const axes = { x: { title: `${letter}₁`, range: x }, y: { title: `${letter}₂`, range: y } };
  return { ...axes, ratio: 1, layers };
}

/** @type {Record<Shows, Painter>} */
const secondPanes = { latent: paneLatent, truth: paneTruth, difference: paneDifference, believed: paneBelieved };
/** @type {Painter} */
export const paneSecond = (view, theme) => secondPanes[view.shows](view, theme);

/**
 * What stands at a place of a plane, in words.
 * @type {(picture: Picture, place: Place) => string}
 */
export function told(picture, place) {
  if (picture.says) return picture.says(place);
  const fields = picture.layers.filter((layer) => layer.kind === "field").reverse();
  for (const { field, window, name, visible } of fields) { // what is seen closely lies over the rest
    const value = visible === false ? NaN : valueAt(field, window, place);
    if (Number.isFinite(value)) return `${name === "difference" ? "model − truth" : name} ${shown(value)}`;
  }
  return "";
}
