// Pulling: a line or a unit is dragged up and down by a mouse, its handle by a finger, and both by keys.

import { partOfKind } from "../part.js";
import { asked, nameOf, parameter } from "./names.js";
import { bringBack, change, choose, refresh } from "./network.js";
import { nearest } from "./places.js";

/** @import { View } from "./types.js" */
/** @import { Place } from "../canvas/types.js" */

const PER_PIXEL = 0.02;
const STEP = 0.05;
const LARGE_STEP = 0.5;
const CLICK = 3; // pixels that a click may move
/** @type {Record<string, number>} */
const WAYS = { ArrowRight: 1, ArrowLeft: -1 };

/** @type {(view: View) => void} */
export function listenToHands(view) {
  const svg = partOfKind(view.root, ".picture svg", SVGSVGElement);
  /** @type {(event: PointerEvent) => Place} */
  const place = ({ clientX, clientY }) => {
    const { left, top } = svg.getBoundingClientRect();
    return [clientX - left, clientY - top];
  };
  /** @type {{ y: number, value: number, name: string, moves: boolean } | null} */
  let pull = null; // what is pulled, from where and which value
  /** @type {{ y: number, name: string } | null} */
  let tapped = null; // what a finger has touched
  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const byHandle = event.target instanceof Element && Boolean(event.target.closest(".handle"));
    const name = byHandle ? view.chosen : nearest(view, place(event), event.pointerType);
    if (!name) return;
    if (event.pointerType === "touch" && !byHandle) {
      tapped = { name, y: event.clientY };
      return;
    }
    choose(view, name);
    const value = asked(view, name);
    if (view.scene.fixed || value === null) return;
    svg.setPointerCapture(event.pointerId);
    pull = { y: event.clientY, value, name, moves: false };
  });
  svg.addEventListener("pointermove", (event) => {
    if (!pull) {
      if (event.pointerType !== "touch") hover(view, nearest(view, place(event), event.pointerType));
      return;
    }
    const way = pull.y - event.clientY;
    pull.moves ||= Math.abs(way) >= CLICK;
    if (pull.moves) change(view, pull.name, pull.value + way * PER_PIXEL);
  });
  svg.addEventListener("pointerup", (event) => {
    if (tapped && Math.abs(event.clientY - tapped.y) < 4 * CLICK) choose(view, tapped.name);
    pull = tapped = null;
  });
  svg.addEventListener("pointercancel", () => { pull = tapped = null; });
  svg.addEventListener("pointerleave", () => hover(view, null));
  svg.addEventListener("keydown", (event) => press(view, event));
}

/** @type {(view: View, name: string | null) => void} */
function hover(view, name) {
  if (name === view.near) return;
  view.near = name;
  refresh(view);
}

/**
 * Every parameter that is drawn, layer by layer: the lines, then the biases of its units.
 * @type {(view: View) => string[]}
 */
function inOrder({ scene, lines }) {
  return scene.layers.flatMap(({ bias }, layer) => [
    ...[...lines].filter(([, line]) => line.layer === layer).map(([name]) => name).sort(byPlace),
    ...bias.map((_, row) => nameOf({ kind: "bias", layer, row })),
  ]);
}

/** @type {(a: string, b: string) => number} */
function byPlace(a, b) {
  const [one, other] = [parameter(a), parameter(b)];
  return one.row - other.row || one.column - other.column;
}

/** @type {(view: View, event: KeyboardEvent) => void} */
function press(view, event) {
  if (event.altKey || event.ctrlKey || event.metaKey || !view.chosen) return;
  const size = event.shiftKey ? LARGE_STEP : STEP;
  /** @type {Record<string, number>} */
  const ups = { ArrowUp: size, ArrowDown: -size, PageUp: LARGE_STEP, PageDown: -LARGE_STEP };
  const [up, way] = [ups[event.key], WAYS[event.key]];
  if (up === undefined && way === undefined && event.key !== "Delete" && event.key !== "Backspace") return;
  event.preventDefault();
  event.stopPropagation();
  if (way) {
    const names = inOrder(view);
    choose(view, names[(names.indexOf(view.chosen) + way + names.length) % names.length]);
  } else if (up === undefined) {
    bringBack(view, [view.chosen]);
  } else {
    const value = asked(view, view.chosen);
    if (value !== null) change(view, view.chosen, value + up);
  }
}
