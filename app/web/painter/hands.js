// The brush in somebody's hand: a mouse, a pen, a finger, or keys. Places are 0 to `rules.side` on each axis.

import { drawBrush, drawPoints, partsOf } from "./layers.js";
import { forgetDensity, send, showCount, showState, tellPlace } from "./painter.js";
import { dotsOf, eraseDot, pictureOf, sprayDot, sprayedBy } from "./spray.js";

/** @import { View } from "./types.js" */
/** @import { Stroke } from "./spray.js" */
/** @import { Place } from "../canvas/types.js" */

const HOLD_MS = 90; // between two dots of a spray that is held still
const MARCH = 4; // times the step of an arrow key, with Shift
const KEY_STEP = 10; // places that an arrow key moves the brush, at least
/** @type {Record<string, Place>} */
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/**
 * Places from one dot of a stroke to the next.
 * @type {(view: View) => number}
 */
const spacing = ({ rules, brush }) => Math.max(4, Math.round(rules.brushes[brush][0] / rules.shares / 2));

/** @type {(view: View, place: Place) => boolean} */
const isOnPlane = ({ rules }, place) => place.every((along) => along >= 0 && along <= rules.side);

/**
 * The newest place of a stroke.
 * @type {(stroke: Stroke) => Place}
 */
function newest({ dots }) {
  const [x, y] = dots.slice(-2);
  return [x, y];
}

/**
 * Lower the brush; what was painted before can be had back.
 * @type {(view: View, place: Place) => void}
 */
function lower(view, place) {
  if (view.pen) return;
  view.pen = { stroke: null, before: [...view.strokes], changed: false, movedAt: -Infinity };
  view.full = "";
  moveTo(view, place);
  clearInterval(view.holding);
  view.holding = setInterval(() => hold(view), HOLD_MS);
}

/**
 * A spray that stands still goes on.
 * @type {(view: View) => void}
 */
function hold(view) {
  const { pen, rules } = view;
  if (!pen?.stroke || view.kind === rules.eraser || !rules.brushes[view.brush][0]) return;
  if (performance.now() - pen.movedAt >= HOLD_MS) addDot(view, ...newest(pen.stroke));
}

/**
 * Lead the lowered brush to a place: dots at equal distances. Beyond the plane it leaves nothing.
 * @type {(view: View, place: Place) => void}
 */
function moveTo(view, place) {
  const { pen } = view;
  if (!pen) return;
  if (!isOnPlane(view, place)) {
    pen.stroke = null;
    return;
  }
  if (!pen.stroke) {
    addDot(view, Math.round(place[0]), Math.round(place[1]));
    return;
  }
  const gap = spacing(view);
  while (view.pen?.stroke && pen.stroke) {
    const [x, y] = newest(pen.stroke);
    const [across, up] = [place[0] - x, place[1] - y];
    const far = Math.hypot(across, up);
    if (far < gap) return;
    addDot(view, Math.round(x + (across / far) * gap), Math.round(y + (up / far) * gap));
  }
}

/**
 * One dot more, unless a limit is reached: then the brush is lifted, and the page says so.
 * @type {(view: View, x: number, y: number) => void}
 */
function addDot(view, x, y) {
  const { pen, rules, picture } = view;
  const isEraser = view.kind === rules.eraser;
  const count = isEraser ? 0 : rules.brushes[view.brush][1];
  view.full = limitReached(view, count);
  if (view.full) {
    lift(view);
    return;
  }
  if (!pen) return;
  if (!pen.stroke) {
    pen.stroke = { kind: view.kind, brush: view.brush, dots: [] };
    view.strokes.push(pen.stroke);
  }
  pen.stroke.dots.push(x, y);
  pen.movedAt = performance.now();
  view.dots++;
  const before = picture.x.length;
  const k = dotsOf(pen.stroke) - 1;
  if (isEraser) {
    if (eraseDot(rules, picture, pen.stroke, k)) {
      pen.changed = true;
      drawPoints(view);
    }
  } else {
    sprayDot(rules, picture, pen.stroke, view.strokes.length - 1, k);
    view.sprayed += count;
    pen.changed = true;
    drawPoints(view, before);
  }
  showCount(view);
}

/** @type {(view: View, count: number) => string} */
function limitReached({ picture, rules, sprayed, dots }, count) {
  const [has, most] = [picture.x.length + count, rules.most].map((number) => number.toLocaleString("en"));
  if (picture.x.length + count > rules.most) {
    return `${has} points would be more than the ${most} that a drawing may have. Erase some, or press Done.`;
  }
  if (sprayed + count > rules.mostSprayed || dots >= rules.mostDots) {
    return (
      `Painted and erased too often: ${sprayed.toLocaleString("en")} points in ${dots.toLocaleString("en")} dots; ` +
      `${rules.mostSprayed.toLocaleString("en")} in ${rules.mostDots.toLocaleString("en")} are allowed. Undo, or clear.`
    );
  }
  return "";
}

/**
 * Lift the brush, and send what is painted.
 * @type {(view: View) => void}
 */
export function lift(view) {
  const { pen } = view;
  view.pen = null;
  clearInterval(view.holding);
  if (!pen) return;
  if (pen.changed) {
    view.history.push(pen.before);
    send(view);
  } else if (view.strokes.length > pen.before.length) become(view, pen.before); // an eraser that met nothing
  showState(view);
}

/**
 * Let other strokes be on the plane.
 * @type {(view: View, strokes: Stroke[]) => void}
 */
export function become(view, strokes) {
  view.strokes = [...strokes];
  view.picture = pictureOf(view.rules, view.strokes);
  view.sprayed = sprayedBy(view.rules, view.strokes);
  view.dots = view.strokes.reduce((sum, stroke) => sum + dotsOf(stroke), 0);
  if (!view.picture.x.length) forgetDensity(view);
  drawPoints(view);
  showState(view);
}

/** @type {(view: View) => void} */
export function undo(view) {
  lift(view);
  if (!view.strokes.length && !view.history.length) return;
  view.full = "";
  become(view, view.history.pop() ?? view.strokes.slice(0, -1));
  send(view);
}

/** @type {(view: View) => void} */
export function clear(view) {
  lift(view);
  if (!view.strokes.length) return;
  view.history.push(view.strokes);
  view.full = "";
  become(view, []);
  send(view);
}

/** @type {(view: View, at: { clientX: number, clientY: number }) => Place} */
function placeOf(view, { clientX, clientY }) {
  const { left, top } = view.box.getBoundingClientRect();
  const { at } = view.surface;
  const [x, y] = at ? at.atPixel(clientX - left, clientY - top) : [NaN, NaN]; // where nothing is drawn yet, nowhere
  return [partsOf(view, x) / view.rules.shares, partsOf(view, y) / view.rules.shares];
}

/** @type {(view: View) => void} */
export function listenToPointer(view) {
  const { box } = view;
  /** @type {number | null} */
  let held = null; // the pointer that has the brush: other fingers do nothing
  box.addEventListener("pointerdown", (event) => {
    if (event.button || held !== null) return;
    held = event.pointerId;
    event.preventDefault();
    box.focus({ preventScroll: true });
    try {
      box.setPointerCapture(held);
    } catch { /* the pointer has gone already */ }
    view.cursor = placeOf(view, event);
    lower(view, view.cursor);
    drawBrush(view);
  });
  box.addEventListener("pointermove", (event) => {
    if (held !== null && event.pointerId !== held) return;
    const way = held === null ? [] : event.getCoalescedEvents?.() ?? [];
    for (const one of way.length ? way : [event]) moveTo(view, placeOf(view, one));
    view.cursor = placeOf(view, event);
    drawBrush(view);
  });
  for (const end of /** @type {const} */ (["pointerup", "pointercancel", "lostpointercapture"])) {
    box.addEventListener(end, (event) => {
      if (event.pointerId !== held) return;
      held = null;
      lift(view);
      if (event.pointerType === "touch") view.cursor = null;
      drawBrush(view);
    });
  }
  box.addEventListener("pointerleave", () => {
    if (held !== null) return;
    view.cursor = null;
    drawBrush(view);
  });
}

/**
 * The brush by keys. What it takes, no key of the page takes.
 * @type {(view: View, event: KeyboardEvent) => void}
 */
function onPlaneKey(view, event) {
  const isUndo = (event.ctrlKey || event.metaKey) && event.code === "KeyZ";
  if (isUndo || event.key === "Backspace") undo(view);
  else if (event.ctrlKey || event.metaKey || event.altKey) return;
  else if (event.key in WAYS) {
    const step = (event.shiftKey ? MARCH : 1) * Math.max(KEY_STEP, spacing(view));
    const [x, y] = view.cursor ?? middleOf(view);
    const [across, up] = WAYS[event.key];
    /** @type {(along: number) => number} */
    const within = (along) => Math.max(0, Math.min(view.rules.side, Math.round(along)));
    view.cursor = [within(x + across * step), within(y + up * step)];
    moveTo(view, view.cursor);
    tellPlace(view);
  } else if (event.code === "Space") {
    view.cursor ??= middleOf(view);
    if (view.pen?.stroke) addDot(view, ...newest(view.pen.stroke));
    else lower(view, view.cursor);
  } else return;
  event.preventDefault();
  event.stopPropagation();
  drawBrush(view);
}

/** @type {(view: View) => Place} */
const middleOf = ({ rules }) => [rules.side / 2, rules.side / 2];

/** @type {(view: View) => void} */
export function listenToKeys(view) {
  const { box } = view;
  box.addEventListener("keydown", (event) => onPlaneKey(view, event));
  box.addEventListener("keyup", (event) => event.code === "Space" && lift(view));
  box.addEventListener("blur", () => lift(view));
}
