// The chosen point of a clickable pane: by a click, or by arrow keys; reported as the state "clicked".

import { shown } from "../canvas/numbers.js";
import { TWICE } from "../canvas/plane.js";
import { draw } from "./planes.js";

const STEPS = 40; // arrow keys move by this part of the window
const WAIT = 250; // milliseconds without another arrow key before the page is told
const MOVES = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
export const KEYS = "Arrow keys move the chosen point by a fortieth of the window.";

function choose(view, pane, point, wait = 0) {
  const k = view.panes.indexOf(pane);
  pane.chosen = point;
  view.told.textContent = `${pane.spec.x} = ${shown(point[0])}, ${pane.spec.y} = ${shown(point[1])}`;
  draw(view, pane);
  clearTimeout(view.timer);
  view.timer = setTimeout(() => {
    view.timer = null;
    view.setState("clicked", [k, ...point]);
  }, wait);
}

/** Python is told once it is no double click, which resets the zoom and chooses nothing. */
export function clicked(view, pane, point) {
  if (!pane.spec.clickable) return;
  pane.box.focus({ preventScroll: true });
  pane.before = pane.chosen;
  choose(view, pane, point, TWICE);
}

export function takeBack(view, pane) {
  if (!pane.spec.clickable || !view.timer) return;
  clearTimeout(view.timer);
  view.timer = null;
  pane.chosen = pane.before;
  draw(view, pane);
}

export function press(view, pane, event) {
  const move = MOVES[event.key];
  if (!move || !pane.spec.clickable || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const plane = pane.spec.window;
  const from = pane.chosen ?? plane.map(([low, high]) => (low + high) / 2);
  const to = plane.map(([low, high], i) => Math.max(low, Math.min(high, from[i] + (move[i] * (high - low)) / STEPS)));
  choose(view, pane, to, WAIT);
}
