// Pulling: a line or a unit is dragged up and down by a mouse, its handle by a finger, and both by keys.

import { asked, nameOf, parameter } from "./names.js";
import { bringBack, change, choose, refresh } from "./network.js";
import { nearest } from "./places.js";

const PER_PIXEL = 0.02;
const STEP = 0.05;
const LARGE_STEP = 0.5;
const CLICK = 3; // pixels that a click may move

export function listenToHands(view) {
  const svg = view.root.querySelector(".picture svg");
  const place = ({ clientX, clientY }) => {
    const { left, top } = svg.getBoundingClientRect();
    return [clientX - left, clientY - top];
  };
  let pull = null; // {y: where it began, value, tapped: what a finger has touched}
  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const byHandle = Boolean(event.target.closest(".handle"));
    const name = byHandle ? view.chosen : nearest(view, place(event), event.pointerType);
    if (!name) return;
    if (event.pointerType === "touch" && !byHandle) {
      pull = { tapped: name, y: event.clientY };
      return;
    }
    choose(view, name);
    if (view.scene.fixed || asked(view, name) === null) return;
    svg.setPointerCapture(event.pointerId);
    pull = { y: event.clientY, value: asked(view, name), name, moves: false };
  });
  svg.addEventListener("pointermove", (event) => {
    if (!pull || pull.tapped) {
      if (event.pointerType !== "touch") hover(view, nearest(view, place(event), event.pointerType));
      return;
    }
    const way = pull.y - event.clientY;
    pull.moves ||= Math.abs(way) >= CLICK;
    if (pull.moves) change(view, pull.name, pull.value + way * PER_PIXEL);
  });
  svg.addEventListener("pointerup", (event) => {
    if (pull?.tapped && Math.abs(event.clientY - pull.y) < 4 * CLICK) choose(view, pull.tapped);
    pull = null;
  });
  svg.addEventListener("pointercancel", () => { pull = null; });
  svg.addEventListener("pointerleave", () => hover(view, null));
  svg.addEventListener("keydown", (event) => press(view, event));
}

function hover(view, name) {
  if (name === view.near) return;
  view.near = name;
  refresh(view);
}

/** Every parameter that is drawn, layer by layer: the lines, then the biases of its units. */
function inOrder({ scene, lines }) {
  return scene.layers.flatMap(({ bias }, layer) => [
    ...[...lines].filter(([, line]) => line.layer === layer).map(([name]) => name).sort(byPlace),
    ...bias.map((_, row) => nameOf({ kind: "bias", layer, row })),
  ]);
}

function byPlace(a, b) {
  const [one, other] = [parameter(a), parameter(b)];
  return one.row - other.row || one.column - other.column;
}

function press(view, event) {
  if (event.altKey || event.ctrlKey || event.metaKey || !view.chosen) return;
  const size = event.shiftKey ? LARGE_STEP : STEP;
  const up = { ArrowUp: size, ArrowDown: -size, PageUp: LARGE_STEP, PageDown: -LARGE_STEP }[event.key];
  const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (up === undefined && way === undefined && event.key !== "Delete" && event.key !== "Backspace") return;
  event.preventDefault();
  event.stopPropagation();
  if (way) {
    const names = inOrder(view);
    choose(view, names[(names.indexOf(view.chosen) + way + names.length) % names.length]);
  } else if (up === undefined) {
    bringBack(view, [view.chosen]);
  } else if (asked(view, view.chosen) !== null) {
    change(view, view.chosen, asked(view, view.chosen) + up);
  }
}
