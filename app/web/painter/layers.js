// What is seen: the flow's density with the axes, the points over it, and the brush over all.

import { drawPath, PALETTES, stampOf } from "../canvas/layers.js";
import { contextOf, pageTheme, penOf } from "../canvas/page.js";
import { drawPicture } from "../canvas/plane.js";
import { eraserOf } from "./spray.js";

/** @import { View } from "./types.js" */
/** @import { Axis, Palette } from "../canvas/types.js" */

const HALF = 4; // the plane is shown from -HALF to HALF on both axes
const SIZES = [4, 4.4]; // of the marks of the two classes, in pixels
const SYMBOLS_OF = ["circle", "square"];
/** @type {(string | null)[]} */
const COLOURS_OF = [null, "#D55E00"]; // the first is the page's ink
const FADES = 0.16; // the share of the colours below which a density is transparent, so that the plane has no edge
const fading = fadingOf(PALETTES.viridis);

/**
 * A palette whose beginning comes out of the paper.
 * @type {(palette: Palette) => Palette}
 */
function fadingOf(palette) {
  return palette.map((colour, k) => {
    const alpha = Math.round(255 * Math.min(1, k / (FADES * 255)));
    return ((colour & 0xffffff) | (alpha << 24)) >>> 0;
  });
}

/** @type {(view: View, parts: number) => number} */
export const unitsOf = (view, parts) => (parts - view.rules.parts / 2) / view.rules.perUnit;
/** @type {(view: View, units: number) => number} */
export const partsOf = (view, units) => units * view.rules.perUnit + view.rules.parts / 2;

/**
 * The density and the axes.
 * @type {(view: View) => void}
 */
export function drawGround(view) {
  const theme = pageTheme(view.root);
  view.theme = theme;
  const { names } = view.rules;
  const layers = view.density ? [{ ...view.density, palette: fading }] : [];
  /** @type {(title: string) => Axis} */
  const axis = (title) => ({ title, range: [-HALF, HALF] });
  drawPicture(view.surface, { x: axis(names[0]), y: axis(names[1]), ratio: 1, layers, grid: true }, theme);
}

/**
 * Points from the `from`-th on, over those that are drawn already.
 * @type {(view: View, from?: number) => void}
 */
export function drawPoints(view, from = 0) {
  const { canvases: { points }, picture, surface, theme } = view;
  const { at, size, dense } = surface;
  if (!at || !theme) return;
  const pen = from ? contextOf(points) : penOf(points, size[0], size[1], dense);
  const stamps = SYMBOLS_OF.map((symbol, kind) => stampOf(pen, {
    size: SIZES[kind], symbol, colour: COLOURS_OF[kind] ?? theme.ink(0.9), edge: { width: 0.6, colour: theme.paper },
  }, dense));
  for (let i = from; i < picture.x.length; i++) {
    stamps[picture.kind[i]](at.x(unitsOf(view, picture.x[i])), at.y(unitsOf(view, picture.y[i])));
  }
}

/**
 * A ring as large as the brush, where it is.
 * @type {(view: View) => void}
 */
export function drawBrush(view) {
  const { canvases: { brush }, surface: { at, size, dense }, theme, cursor, rules } = view;
  if (!at || !theme) return;
  const pen = penOf(brush, size[0], size[1], dense);
  if (!cursor) return;
  const radius = view.kind === rules.eraser ? eraserOf(rules, view.brush) : rules.brushes[view.brush][0];
  const pixels = Math.max(4, (radius / rules.parts) * at.width);
  const [x, y] = cursor.map((along) => unitsOf(view, along * rules.shares));
  pen.beginPath();
  pen.arc(at.x(x), at.y(y), pixels, 0, 7);
  drawPath(pen, {
    colour: theme.ink(0.9),
    width: 1.3,
    halo: theme.paper,
    dash: view.kind === rules.eraser ? [4, 3] : [],
  });
  pen.beginPath();
  pen.arc(at.x(x), at.y(y), 1.5, 0, 7);
  drawPath(pen, { colour: theme.ink(0.9), width: 1.3, halo: theme.paper });
}

/** @type {(view: View) => void} */
export function drawAll(view) {
  if (!view.size) return;
  drawGround(view);
  drawPoints(view);
  drawBrush(view);
}
