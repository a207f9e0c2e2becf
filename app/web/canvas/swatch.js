// A piece of line, a marker or a patch, as a legend shows what has a name.

import { rgb } from "./colours.js";
import { LAYERS } from "./layers.js";

export const SWATCH = [26, 12]; // pixels
const UNDER_PALE = "#767676"; // a line in the colour of the page is drawn on this
const LIKE_PAPER = 24; // between channels of two colours, at most, for them to look alike

/** Whether a line of this colour cannot be seen on the page: it lies over dark colours in its picture. */
function isLikePaper(colour, { paper }) {
  if (!/^#[\da-f]{6}$/i.test(colour ?? "")) return false; // the page's own ink is none such
  const [own, of] = [colour, paper].map(rgb);
  return own.every((value, k) => Math.abs(value - of[k]) <= LIKE_PAPER);
}

/** Draw the swatch of these layers at the origin of a pen. */
export function drawSwatch(context, layers, theme, dense) {
  const [width, height] = SWATCH;
  const hasMarkers = layers.some(({ kind }) => kind === "points"); // a single point is one, unless it is all there is
  const at = { x: (v) => v, y: (v) => v, left: 0, top: 0, width, height };
  for (const layer of layers) {
    if (layer.kind === "band") {
      context.fillStyle = layer.colour;
      context.fillRect(2, 0, width - 4, height);
      continue;
    }
    const isPoint = layer.kind === "points";
    const place = isPoint ? { x: [width / 2], y: [height / 2] } : { x: [2, width - 2], y: [height / 2, height / 2] };
    if (isPoint || (layer === layers[0] && (layer.x?.length !== 1 || !hasMarkers))) {
      if (isLikePaper(layer.colour, theme)) {
        context.fillStyle = UNDER_PALE;
        context.fillRect(0, 0, width, height);
      }
      LAYERS[isPoint ? "points" : "line"](context, { ...layer, ...place, halo: null }, at, theme, { dense });
    }
  }
}
