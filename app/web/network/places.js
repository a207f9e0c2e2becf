// Where units and lines are, and which of them a pointer means.

import { nameOf, parameter } from "./names.js";

/** @import { Parameter, Scene, View } from "./types.js" */

/**
 * Pixels of all units: places[column][index], and the radius of each column's units.
 * @typedef {{ places: Place[][], radii: number[], width: number, height: number }} Placed
 */

/**
 * The ends of a line, x0, y0, x1, y1.
 * @typedef {[number, number, number, number]} Ends
 */
/** @import { Place } from "../canvas/types.js" */

const PAD = 34; // pixels at the left and right, for names
/** @type {Record<string, number>} */
const REACH = { mouse: 12, pen: 14, touch: 24 }; // pixels around a line that belong to it
export const WIDEST = 8;
export const WIDEST_GHOST = 24;

/**
 * Where all units are in a picture of this size.
 * @type {(scene: Scene, width: number, height: number) => Placed}
 */
export function placed({ sizes }, width, height) {
  const apart = (width - 2 * PAD) / (sizes.length - 1);
  /** @type {(column: number, size: number, index: number) => Place} */
  const place = (column, size, index) => [
    PAD + column * apart,
    size <= 4 ? (height * (index + 1)) / (size + 1) : 10 + ((index + 0.5) * (height - 20)) / size,
  ];
  const places = sizes.map((size, column) => Array.from({ length: size }, (_, index) => place(column, size, index)));
  const radii = sizes.map((size) => Math.max(2, Math.min(9, (0.4 * (height - 20)) / size)));
  return { places, radii, width, height };
}

/**
 * The two ends of a line.
 * @type {(view: Pick<View, "scene"> & { at: Placed }, line: Pick<Parameter, "layer" | "row" | "column">) => Ends}
 */
export function endsOf({ scene, at }, { layer, row, column }) {
  const size = scene.sizes[layer];
  const [x0, y0] = at.places[layer][column % size];
  const [x1, y1] = at.places[layer + 1][row];
  const aside = 5 * Math.floor(column / size); // another copy of the same unit
  return [x0, y0 + aside, x1, y1 + aside];
}

/**
 * Where a parameter is pulled: in the middle of a line, or at a unit; a row at its unit.
 * @type {(view: View & { at: Placed }, name: string) => Place}
 */
export function gripOf(view, name) {
  const found = parameter(name);
  if (found.kind !== "weight") return view.at.places[found.layer + 1][found.row];
  const [x0, y0, x1, y1] = endsOf(view, found);
  return [(x0 + x1) / 2, (y0 + y1) / 2];
}

/** @type {(place: Place, ends: Ends) => number} */
function distance([x, y], [x0, y0, x1, y1]) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const share = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(x - x0 - share * dx, y - y0 - share * dy);
}

/**
 * The name of what a pointer at [x, y] means: a unit that it is on, else the nearest line in reach; null for none.
 * @type {(view: View, place: Place, pointer: string) => string | null}
 */
export function nearest(view, place, pointer) {
  const { at } = view;
  if (!at) return null;
  const { places, radii } = at;
  /** @type {string | null} */
  let found = null;
  let least = Infinity;
  for (let c = 1; c < places.length; c++) {
    for (const [row, [x, y]] of places[c].entries()) {
      const away = Math.hypot(place[0] - x, place[1] - y);
      if (away <= Math.max(radii[c] + 2, 6) && away < least) {
        [found, least] = [nameOf({ kind: "bias", layer: c - 1, row }), away];
      }
    }
  }
  if (found) return found;
  least = REACH[pointer] ?? REACH.mouse;
  for (const [name, line] of view.lines) {
    const away = distance(place, endsOf({ ...view, at }, line)) - Math.min(3, line.wide / 2);
    if (away < least) [found, least] = [name, away];
  }
  return found;
}
