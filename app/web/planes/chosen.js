// The chosen point of a clickable pane: by a click, or by arrow keys; reported as the state "clicked".

import { shown } from "../canvas/numbers.js";
import { TWICE } from "../canvas/plane.js";
import { draw } from "./planes.js";

/** @import { Place } from "../canvas/types.js" */
/** @import { Pane, PaneSpec, View } from "./types.js" */

const STEPS = 40; // arrow keys move by this part of the window
const WAIT = 250; // milliseconds without another arrow key before the page is told
/** @type {Record<string, Place>} */
const MOVES = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
export const KEYS = "Arrow keys move the chosen point by a fortieth of the window.";

/**
 * The spec of a pane in which a point can be chosen, null of any other.
 *
 * @param {Pane} pane
 * @returns {PaneSpec | null}
 */
export const clickableOf = ({ spec }) => (spec.kind === "pane" && spec.clickable ? spec : null);

/**
 * @param {View} view
 * @param {Pane} pane
 * @param {Place} point
 * @param {number} wait  milliseconds after which the page is told
 */
function choose(view, pane, point, wait = 0) {
  const k = view.panes.indexOf(pane);
  pane.chosen = point;
  view.told.textContent = `${pane.spec.x} = ${shown(point[0])}, ${pane.spec.y} = ${shown(point[1])}`;
  draw(view, pane);
  clearTimeout(view.timer);
  view.timer = setTimeout(() => {
    view.timer = undefined;
    view.setState("clicked", [k, ...point]);
  }, wait);
}

/**
 * Python is told once it is no double click, which resets the zoom and chooses nothing.
 *
 * @param {View} view
 * @param {Pane} pane
 * @param {Place} point
 */
export function clicked(view, pane, point) {
  if (!clickableOf(pane)) return;
  pane.box.focus({ preventScroll: true });
  pane.before = pane.chosen;
  choose(view, pane, point, TWICE);
}

/**
 * A click was the first half of a double one.
 *
 * @param {View} view
 * @param {Pane} pane
 */
export function takeBack(view, pane) {
  if (!clickableOf(pane) || view.timer === undefined) return;
  clearTimeout(view.timer);
  view.timer = undefined;
  pane.chosen = pane.before;
  draw(view, pane);
}

/**
 * @param {View} view
 * @param {Pane} pane
 * @param {KeyboardEvent} event
 */
export function press(view, pane, event) {
  const [move, spec] = [MOVES[event.key], clickableOf(pane)];
  if (!move || !spec || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const from = pane.chosen ?? spec.window.map(([low, high]) => (low + high) / 2);
  const to = spec.window.map(([low, high], i) =>
    Math.max(low, Math.min(high, from[i] + (move[i] * (high - low)) / STEPS)));
  choose(view, pane, [to[0], to[1]], WAIT);
}
