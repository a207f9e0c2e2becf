// The planes: data space with the flow's density, the truth, or their difference; and latent space, or the place on the
// way there. State -> picture.

import { finer, levelsOfMass, valueAt } from "../canvas/field.js";
import { shown } from "../canvas/numbers.js";
import { shownDensity, shownRaw, shownTop } from "./clock.js";
import { decode, fieldOf, linesOf, pointsOf } from "./decode.js";
import { lastStage, letterOf, placeOf } from "./depth.js";
import { probeInData, probeInFlow, probeReach } from "./probe.js";
import { COLOURS, dataPoints, DENSITY, DIFFERENCE } from "./theme.js";

export const CIRCLES = [[1, "39 %"], [2, "86 %"], [3, "98.9 %"]]; // radius, mass of the normal inside: 1 - exp(-r²/2)
const LATENT_SIDE = 4; // latent space is shown from -4 to 4, and a place on the way as far as its points go
const MASSES = [0.25, 0.5, 0.75, 0.95]; // of a density, that its contours enclose: of what lies in the window
const WHILE_TRAVELLING = 2; // between two stages every second point of a grid line is enough
const SHARED = "density, the same colours in both";
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

const levels = new WeakMap();

/** Where the contours of a density run; worked out once for each. */
function massLevels(field) {
  if (!levels.has(field)) {
    const values = levelsOfMass(field, MASSES);
    levels.set(field, values.map((value, k) => ({ value, text: `${100 * MASSES[k]} %` })));
  }
  return levels.get(field);
}

export function densityLayers(view, field, plane, top, visible) {
  const fine = finer(field);
  return [
    {
      kind: "field",
      name: "density",
      nodes: field,
      field: fine,
      window: plane,
      range: [0, top],
      palette: DENSITY,
      visible,
    },
    {
      kind: "contours",
      field: fine,
      window: plane,
      levels: massLevels(field),
      visible,
      series: "contour that encloses",
      colour: "rgba(255,255,255,0.55)",
      width: 0.9,
      named: !view.scene.playing,
    },
  ];
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
function dataLayer(view, theme, space, visible, over) {
  const { scene } = view;
  const points = pointsOf(decode(scene.points), space.plane);
  return { ...dataPoints(view, theme, points, visible, { size: 4.5, over }), still: [scene.points, over] };
}

export function paneData(view, theme) {
  const { picture, layers: { data: on } } = view;
  const space = dataSpace(view);
  const shared = view.shows === "truth" && truthOf(view);
  const layers = [];
  let bar = null;
  if (picture) {
    const top = (shared ? shared.shown : shownTop(view)) / space.area;
    layers.push(...densityLayers(view, shownDensity(view, space.area), space.plane, top, on.density));
    bar = { title: shared ? SHARED : "density per unit area", range: [0, top], palette: DENSITY };
  }
  if (view.samples) {
    const edge = { width: 0.6, colour: "rgba(12,12,24,0.7)" };
    const marker = { size: 5.5, symbol: "diamond", colour: COLOURS.samples, edge };
    const points = pointsOf(shownRaw(view, "samples"), space.plane);
    layers.push({ kind: "points", name: "samples", ...points, marker, visible: on.samples });
  }
  layers.push(dataLayer(view, theme, space, on.data, picture && on.density), ...probeInData(view));
  return spacePicture(view, space, layers, bar);
}

function paneTruth(view, theme) {
  const { layers: { latent: on } } = view;
  const [space, truth] = [dataSpace(view), truthOf(view)];
  const layers = [];
  let bar = null;
  if (truth) {
    const finest = truth.grids[Math.max(...Object.keys(truth.grids))];
    const top = truth.shown / space.area;
    layers.push(...densityLayers(view, fieldOf(finest, truth.largest / space.area), space.plane, top, true));
    bar = { title: SHARED, range: [0, top], palette: DENSITY };
  }
  layers.push(dataLayer(view, theme, space, on.data, true), ...probeInData(view));
  return spacePicture(view, space, layers, bar);
}

function paneDifference(view, theme) {
  const { picture, layers: { latent: on } } = view;
  const space = dataSpace(view);
  const truth = truthOf(view)?.grids[picture?.density.shape[0]];
  const layers = [];
  let bar = null;
  if (truth) {
    const [model, true_] = [shownDensity(view, space.area), fieldOf(truth, truthOf(view).largest / space.area)];
    const field = { ...model, values: model.values.map((p, i) => p - true_.values[i]) };
    const top = truthOf(view).shown / space.area;
    layers.push({
      kind: "field", name: "difference", nodes: field, field: finer(field), window: space.plane, range: [-top, top],
      palette: DIFFERENCE,
    });
    bar = { title: "model − truth, per unit area", range: [-top, top], palette: DIFFERENCE };
  }
  layers.push(dataLayer(view, theme, space, on.data, true), ...probeInData(view));
  return spacePicture(view, space, layers, bar);
}

/** Half the side of a square around 0 that shows nearly all points, and at least latent space. */
export function reach({ x, y }) {
  const sizes = Float64Array.from(x, (value, i) => Math.max(Math.abs(value), Math.abs(y[i]))).filter(Number.isFinite);
  const most = sizes.sort()[Math.floor(0.99 * (sizes.length - 1))] ?? 0;
  return Math.max(LATENT_SIDE, 1.1 * most);
}

function paneLatent(view, theme) {
  const { scene, layers: { latent: on } } = view;
  const plane = [scene.frame_window, scene.frame_window];
  const place = placeOf(view);
  const points = place && pointsOf(place.latent, plane);
  const side = place ? Math.max(reach(points), 1.1 * probeReach(view)) : LATENT_SIDE;
  const layers = [];
  if (place) {
    const every = Number.isInteger(place.at) ? 1 : WHILE_TRAVELLING;
    const lines = linesOf(place.grid, place.linePoints, plane, every);
    layers.push({
      kind: "line",
      name: "grid",
      ...lines,
      colour: theme.grid,
      width: 0.9,
      opacity: 0.6,
      visible: on.grid,
    });
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

const secondPanes = { latent: paneLatent, truth: paneTruth, difference: paneDifference };
export const paneSecond = (view, theme) => secondPanes[view.shows](view, theme);

/** What stands at a place of a plane, in words. */
export function told(picture, place) {
  if (picture.says) return picture.says(place);
  const layer = picture.layers.find(({ kind, visible }) => kind === "field" && visible !== false);
  const value = layer && valueAt(layer.field, layer.window, place);
  return Number.isFinite(value) ? `${layer.name === "density" ? "density" : "model − truth"} ${shown(value)}` : "";
}
