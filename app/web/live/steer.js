// A plane that has the focus, by keyboard.

import { zoomed } from "../canvas/plane.js";
import { isChord } from "./keys.js";

/** @import { Picture, Place, Range, Surface, Window } from "../canvas/types.js" */

const PAN = 0.1; // of what is shown, for each press of an arrow
const NEARER = 1.25;
/** @type {Record<string, Place>} */
export const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/**
 * Arrows move the plane of a surface, + and - zoom around its middle, 0 shows the whole again.
 * @type {(surface: Surface, moved: (ranges: Window | null) => void) => void}
 */
export function steer(surface, moved) {
  surface.box.tabIndex = 0;
  surface.box.addEventListener("keydown", (event) => {
    if (!surface.picture || isChord(event)) return;
    const ranges = steered(surface.picture, event.key);
    if (ranges === undefined) return;
    event.preventDefault();
    moved(ranges);
  });
}

/**
 * The ranges of both axes after a key, null for the whole; undefined for a key that does nothing here.
 * @type {(picture: Picture, key: string) => Window | null | undefined}
 */
function steered(picture, key) {
  const [x, y] = [picture.x.range, picture.y.range];
  if (key in ARROWS) {
    /** @type {(range: Range, way: number) => Range} */
    const moved = ([low, high], way) => [low + way * PAN * (high - low), high + way * PAN * (high - low)];
    return [moved(x, ARROWS[key][0]), moved(y, ARROWS[key][1])];
  }
  /** @type {Place} */
  const middle = [(x[0] + x[1]) / 2, (y[0] + y[1]) / 2];
  if (key === "+") return zoomed(picture, middle, 1 / NEARER);
  if (key === "-") return zoomed(picture, middle, NEARER);
  return key === "0" ? null : undefined;
}
