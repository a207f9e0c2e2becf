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

export const CIRCLES = [[1, "39 %"], [2, "86 %"], [3, "98.9 %"]]; // radius, mass of the normal inside: 1 - exp(-r²/2)
const LATENT_SIDE = 4; // latent space is shown from -4 to 4, and a place on the way as far as its points go
const MASSES = [0.25, 0.5, 0.75, 0.95]; // of a density, that its contours enclose: of what lies in the window
const WHILE_TRAVELLING = 2; // between two stages every second point of a grid line is enough
const SHARED = "density, the same colours in both";
const BELIEVED = "density that training believes in";
export const truths = new Map(); // data set -> its true density, as `live.mount_truth` brought it

const truthOf = (view) => truths.get(view.scene.truth);

/** The data space in the units of its axes: window, titles, and the area of one unit square of the flow. */
export function dataSpace({ scene: { axes, window } }) {
  const shown = (side, i) => side.map((value) => axes[i].centre + axes[i].scale * value);
  return {
    plane: window.map(shown),
    titles: axes.map((a) => (a.unit ? `${a.name} (${a.unit})` : a.name)),
    ratio: Math.abs(axes[0].scale / axes[1].scale), // so that the flow's units are equal
    area: axes[0].scale * axes[1].scale,
  };
}

/** Where the contours of a density run: of its mass in the whole window. Worked out once for each. */
const massLevels = (field) => memo(field, "levels", () => {
  const mixture = mixtures.get(field);
  if (!mixture) return levelsOfMass(field, MASSES);
  const [from, to] = [mixture.from, mixture.to].map(massLevels); // on the way they move evenly
  return to.map((level, k) => from[k] + mixture.share * (level - from[k]));
});

/** The same, with the texts that stand on the contours. */
const namedLevels = (field, area = 1) =>
  massLevels(field).map((value, k) => ({ value: value / area, text: `${100 * MASSES[k]} %` }));

/** Colours and contours of a density over the plane and, finer, over a `part` of it that is looked at closely. */
export function densityLayers(view, field, plane, top, visible, more = {}) {
  const { part = null, name = "density", levels = namedLevels(field) } = more;
  const covers = coversRange(view, part);
  const coloured = (nodes, window, untold) => ({
    kind: "field", name, nodes, field: fineOf(nodes), window, range: [0, top], palette: DENSITY, visible, untold,
  });
  const layers = [coloured(field, plane, covers)];
  if (part) layers.push(coloured(part.field, part.window, !covers));
  const { field: fine, window } = layers[covers ? 1 : 0];
  layers.push({
    kind: "contours", field: fine, window, levels, visible,
    series: "contour that encloses", colour: "rgba(255,255,255,0.55)", width: 0.9, named: !view.scene.playing,
  });
  return layers;
}

/** Whether all that is looked at closely is known closely. */
const coversRange = (view, part) => Boolean(part && view.zoom.data) && view.zoom.data.every(([low, high], i) => {
  const [from, to] = part.window[i];
  const spare = 1e-6 * (high - low);
  return from <= low + spare && to >= high - spare;
});

const made = new WeakMap(); // field -> what was worked out of it, by its name

function memo(field, name, make) {
  if (!made.has(field)) made.set(field, new Map());
  const known = made.get(field);
  if (!known.has(name)) known.set(name, make());
  return known.get(name);
}

const fineOf = (field) => memo(field, "finer", () => finer(field));

const scaled = (field, area) => (area === 1 ? field
  : memo(field, `per ${area}`, () => ({ ...field, values: field.values.map((value) => value / area) })));

/** A density as the axes have it: per unit area of theirs, with a part of it only where somebody looks closely. */
function shownDensity(view, { field, top, part }, { area }) {
  const { axes } = view.scene;
  const inAxes = (window) => window.map((side, i) => side.map((value) => axes[i].centre + axes[i].scale * value));
  return {
    field: scaled(field, area), top: top / area, levels: namedLevels(field, area),
    part: part && view.zoom.data ? { field: scaled(part.field, area), window: inAxes(part.window) } : null,
  };
}

function spacePicture(view, space, layers, bar) {
  const [x, y] = view.zoom.data ?? space.plane;
  const axes = { x: { title: space.titles[0], range: x }, y: { title: space.titles[1], range: y } };
  const [ground] = layers;
  const over =
    ground?.kind === "field" && ground.visible !== false ? (ground.palette === DENSITY ? "dark" : "light") : "";
  return { ...axes, ratio: space.ratio, layers, bar: over && bar, over };
}

/** The data's points stand still, and so in front of all that does not: also of samples. */
function dataLayer(view, theme, visible, over) {
  const { scene } = view;
  const points = memo(scene.points, "places", () => placesOf(decode(scene.points), scene.axes));
  return { ...dataPoints(view, theme, points, visible, { size: 4.5, over }), still: [scene.points, over] };
}

export function paneData(view, theme) {
  const { picture, layers: { data: on } } = view;
  const space = dataSpace(view);
  const shared = view.shows === "truth" && truthOf(view);
  const layers = [];
  let bar = null;
  if (picture) {
    const { field, top: own, part, levels } = shownDensity(view, drawnDensity(view), space);
    const top = shared ? shared.shown / space.area : own;
    layers.push(...densityLayers(view, field, space.plane, top, on.density, { part, levels }));
    const isShared = shared || view.shows === "believed";
    bar = { title: isShared ? SHARED : "density per unit area", range: [0, top], palette: DENSITY };
  }
  const samples = picture && drawnSamples(view);
  if (samples) {
    const edge = { width: 0.6, colour: "rgba(12,12,24,0.7)" };
    const marker = { size: 5.5, symbol: "diamond", colour: COLOURS.samples, edge };
    const points = placesOf(samples, view.scene.axes);
    layers.push({ kind: "points", name: "samples", ...points, marker, visible: on.samples });
  }
  layers.push(dataLayer(view, theme, on.data, picture && on.density), ...probeInData(view));
  return spacePicture(view, space, layers, bar);
}

function paneTruth(view, theme) {
  const { layers: { latent: on } } = view;
  const [space, truth] = [dataSpace(view), truthOf(view)];
  const layers = [];
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

/** What training believes in, in the colours of the flow's density. */
function paneBelieved(view, theme) {
  const { picture, layers: { latent: on } } = view;
  const space = dataSpace(view);
  const layers = [];
  let bar = null;
  const belief = picture && drawnBelief(view);
  if (belief) {
    const { field, part, levels } = shownDensity(view, belief, space);
    const top = drawnDensity(view).top / space.area;
    layers.push(...densityLayers(view, field, space.plane, top, true, { part, levels, name: BELIEVED }));
    bar = { title: SHARED, range: [0, top], palette: DENSITY };
  }
  layers.push(dataLayer(view, theme, on.data, true), ...probeInData(view));
  return spacePicture(view, space, layers, bar);
}

/** The true density at the nodes of a field: its own nodes where it has as many, else between them. */
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

/** Beyond the window, where nobody has asked for the truth, it is no number. */
function minusTruth(field, window, truth, space) {
  const true_ = trueAt(field, window, truth, space);
  return { ...field, values: field.values.map((p, i) => p - true_[i]) };
}

function paneDifference(view, theme) {
  const { picture, layers: { latent: on } } = view;
  const space = dataSpace(view);
  const truth = truthOf(view);
  const layers = [];
  let bar = null;
  if (truth && picture) {
    const { field: model, part } = shownDensity(view, drawnDensity(view), space);
    const top = truth.shown / space.area;
    const covers = coversRange(view, part);
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

/** Half the side of a square around 0 that shows nearly all points, and at least latent space. */
export function reach({ x, y }) {
  const sizes = Float64Array.from(x, (value, i) => Math.max(Math.abs(value), Math.abs(y[i]))).filter(Number.isFinite);
  const most = sizes.sort()[Math.floor(0.99 * (sizes.length - 1))] ?? 0;
  return Math.max(LATENT_SIDE, 1.1 * most);
}

/** The same of the data at a stage, on the way from one picture to the next. */
function reachOf({ before, picture, share }, at) {
  const of = (ways) => memo(ways, "reach", () => new Map());
  const known = (ways) => {
    const reaches = of(ways);
    if (!reaches.has(at)) reaches.set(at, reach(placesOf(wayAt(ways, at).points)));
    return reaches.get(at);
  };
  const to = known(picture.ways);
  return share < 1 && before?.ways ? known(before.ways) + share * (to - known(before.ways)) : to;
}

function paneLatent(view, theme) {
  const { scene, layers: { latent: on } } = view;
  const place = placeOf(view);
  const points = place && placesOf(place.points);
  const far = place ? Math.max(reachOf(view, place.at), 1.1 * probeReach(view)) : LATENT_SIDE;
  const side = Math.min(scene.frame_window[1], far);
  const layers = [];
  if (place) {
    const every = Number.isInteger(place.at) ? 1 : WHILE_TRAVELLING;
    const lines = polyline(place.lines, place.linePoints, every);
    const look = { colour: theme.grid, width: 0.9, opacity: 0.6 };
    layers.push({ kind: "line", name: "grid", ...lines, ...look, visible: on.grid });
    layers.push(dataPoints(view, theme, points, on.data, { size: 4, over: false }));
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

const secondPanes = { latent: paneLatent, truth: paneTruth, difference: paneDifference, believed: paneBelieved };
export const paneSecond = (view, theme) => secondPanes[view.shows](view, theme);

/** What stands at a place of a plane, in words. */
export function told(picture, place) {
  if (picture.says) return picture.says(place);
  const fields = picture.layers.filter(({ kind, visible }) => kind === "field" && visible !== false).reverse();
  for (const { field, window, name } of fields) { // what is seen closely lies over the rest
    const value = valueAt(field, window, place);
    if (Number.isFinite(value)) return `${name === "difference" ? "model − truth" : name} ${shown(value)}`;
  }
  return "";
}
