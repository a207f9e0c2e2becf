// What all panes look like. Colours are Okabe and Ito's, viridis for densities, and blue to orange for a sign.

import { SIGNED } from "../canvas/colours.js";
import { paletteOf, PALETTES } from "../canvas/layers.js";
import { pageTheme } from "../canvas/page.js";
import { decode } from "./decode.js";

/** @import { Numbers, PointsLayer, Theme } from "../canvas/types.js" */
/** @import { LiveTheme, View } from "./types.js" */

export const COLOURS = { samples: "#E69F00", held: "#D55E00", gridLight: "#0072B2", gridDark: "#56B4E9" };
export const DIFFERENCE = paletteOf(SIGNED.with(3, "#f7f6f2")); // nearly white where model and truth agree
export const DENSITY = PALETTES.viridis;
// Classes: colour, marker and the character that shows it in the legend. The first colour is the theme's ink.
/** @type {[string | null, string, string][]} */
export const CLASSES = [
  [null, "circle", "●"], ["#D55E00", "square", "■"], ["#56B4E9", "triangle-up", "▲"], ["#CC79A7", "cross", "✚"],
  ["#0072B2", "x", "✖\ufe0e"], ["#F0E442", "triangle-down", "▼"], ["#009E73", "star", "★"],
  ["#E69F00", "circle-open", "○"],
];

/** @type {(root: Element) => LiveTheme} */
export function readTheme(root) {
  const theme = pageTheme(root);
  return { ...theme, grid: theme.dark ? COLOURS.gridDark : COLOURS.gridLight };
}

/**
 * The data's points: dark and translucent, or a colour and a symbol for each class.
 * @type {(view: View, theme: Theme, points: { x: Numbers, y: Numbers }, visible: boolean, look: { size: number, over:
 *   boolean }) => PointsLayer}
 */
export function dataPoints(view, theme, points, visible, { size, over }) {
  const { labels } = view.scene;
  if (labels) {
    const markers = CLASSES.map(([colour, symbol]) => ({
      size: size + 2, symbol, colour: colour ?? theme.ink(1), edge: { width: 0.6, colour: theme.paper },
    }));
    return {
      kind: "points",
      name: "data",
      ...points,
      markers,
      index: decode(labels.index),
      classes: labels.names,
      visible,
    };
  }
  const edge = { width: over ? 0.7 : 0, colour: "rgba(255,255,255,0.55)" };
  const marker = { size, symbol: "circle", colour: over ? "rgba(12,12,24,0.6)" : theme.ink(0.5), edge };
  return { kind: "points", name: "data", ...points, marker, visible };
}
