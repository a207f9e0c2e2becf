// A piece of line, a marker or a patch, as a legend shows what has a name.

import { rgb } from "./colours.js";
import { LAYERS } from "./layers.js";

/** @import { Layer, Pen, Plot, Theme } from "./types.js" */

/** @type {[number, number]} */
export const SWATCH = [26, 12]; // pixels
const UNDER_PALE = "#767676"; // a line in the colour of the page is drawn on this
const LIKE_PAPER = 24; // between channels of two colours, at most, for them to look alike

/**
 * Whether a line of this colour cannot be seen on the page: it lies over dark colours in its picture.
 * @type {(colour: string | undefined, theme: Theme) => boolean}
 */
function isLikePaper(colour, { paper }) {
  if (!colour || !/^#[\da-f]{6}$/i.test(colour)) return false; // the page's own ink is none such
  const [own, of] = [rgb(colour), rgb(paper)];
  return own.every((value, k) => Math.abs(value - of[k]) <= LIKE_PAPER);
}

/**
 * Draw the swatch of these layers at the origin of a pen.
 * @type {(context: Pen, layers: Layer[], theme: Theme, dense: number) => void}
 */
export function drawSwatch(context, layers, theme, dense) {
  const [width, height] = SWATCH;
  const hasMarkers = layers.some(({ kind }) => kind === "points"); // a single point is one, unless it is all there is
  /** @type {Plot} */
  const at = { x: (v) => v, y: (v) => v, atPixel: (p, q) => [p, q], left: 0, top: 0, width, height };
  for (const layer of layers) {
    if (layer.kind === "band") {
      context.fillStyle = layer.colour;
      context.fillRect(2, 0, width - 4, height);
    } else if (layer.kind === "points") {
      LAYERS.points(context, { ...layer, x: [width / 2], y: [height / 2] }, at, theme, { dense });
    } else if (layer === layers[0] && "width" in layer && !("x" in layer && layer.x.length === 1 && hasMarkers)) {
      if (isLikePaper(layer.colour, theme)) {
        context.fillStyle = UNDER_PALE;
        context.fillRect(0, 0, width, height);
      }
      const [x, y] = [[2, width - 2], [height / 2, height / 2]];
      LAYERS.line(context, { ...layer, kind: "line", x, y, halo: null }, at, theme, { dense });
    }
  }
}
