// A plane that has the focus, by keyboard.

import { zoomed } from "../canvas/plane.js";
import { isChord } from "./keys.js";

const PAN = 0.1; // of what is shown, for each press of an arrow
const NEARER = 1.25;
export const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Arrows move the plane of a surface, + and - zoom around its middle, 0 shows the whole again. */
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

/** The ranges of both axes after a key, null for the whole; undefined for a key that does nothing here. */
function steered(picture, key) {
  const ranges = [picture.x.range, picture.y.range];
  if (key in ARROWS) {
    const way = ranges.map(([low, high], i) => ARROWS[key][i] * PAN * (high - low));
    return ranges.map((range, i) => range.map((end) => end + way[i]));
  }
  const middle = ranges.map(([low, high]) => (low + high) / 2);
  if (key === "+") return zoomed(picture, middle, 1 / NEARER);
  if (key === "-") return zoomed(picture, middle, NEARER);
  return key === "0" ? null : undefined;
}
