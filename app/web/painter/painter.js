// The element: its buttons, its size, and what it says.

import { shown } from "../canvas/numbers.js";
import { pageTheme } from "../canvas/page.js";
import { partOf, partOfKind } from "../part.js";
import { become, clear, lift, listenToKeys, listenToPointer, undo } from "./hands.js";
import { drawAll, drawBrush, drawGround, unitsOf } from "./layers.js";
import { fromRow, toRow } from "./spray.js";

/** @import { Data, View } from "./types.js" */
/** @import { Call } from "../types.js" */
/** @import { Picture } from "../canvas/types.js" */

const AROUND = 250; // pixels of a window's height that the plane leaves to all else
const LEAST_SIDE = 260;
const FIRST_BRUSH = 2;
const AGAIN_MS = 2500; // until strokes are sent again that the server does not seem to have
const MOST_TRIES = 4;
const OVER = "dialog[open], [role=dialog], [role=alertdialog], [data-testid=stPopoverBody]";
/** @type {Map<string, View>} */
const kept = new Map(); // canvas -> what is on it, should its element be built anew

/** @type {(root: ParentNode, selector: string) => HTMLButtonElement[]} */
function buttonsOf(root, selector) {
  const found = [...root.querySelectorAll(selector)];
  return found.filter((one) => one instanceof HTMLButtonElement);
}

/** @type {(root: HTMLElement, data: Data) => View} */
function mountPainter(root, data) {
  const box = partOf(root, ".painter-plane");
  const [ground, axes, points, brush, corner] = [1, 2, 3, 4, 5].map(() => document.createElement("canvas"));
  const canvases = { ground, axes, points, brush };
  box.append(ground, axes, points, brush);
  /** @type {View} */
  const view = {
    root, box, canvases, rules: data.rules, canvas: "", kind: 0, brush: FIRST_BRUSH, cursor: null, pen: null,
    strokes: [], history: [], picture: { x: [], y: [], kind: [] }, sprayed: 0, dots: 0, density: null, full: "",
    problem: "", has: "", size: "", theme: null, gone: new AbortController(), tries: 0, observer: null,
    holding: undefined, again: undefined, tell: () => {},
    surface: {
      box, canvas: ground, front: axes, corner, tip: document.createElement("span"), size: [], picture: null, at: null,
      dense: 1, scale: 1, inFront: [], told: () => "",
    },
  };
  const { signal } = view.gone;
  buttonsOf(root, "[data-kind]").forEach((button) => {
    const name = view.rules.classes[Number(button.dataset.kind)];
    if (name) partOf(button, "span").textContent = name;
    if (name) button.title = `Sprays points of class ${name}`;
    button.addEventListener("click", () => take(view, Number(button.dataset.kind)));
  });
  const size = partOfKind(root, "input", HTMLInputElement);
  Object.assign(size, { max: String(view.rules.brushes.length - 1), value: String(FIRST_BRUSH) });
  size.addEventListener("input", () => {
    view.brush = Number(size.value);
    drawBrush(view);
  });
  /** @type {Record<string, (view: View) => void>} */
  const acts = { undo, clear, done };
  for (const button of buttonsOf(root, "[data-act]")) {
    button.addEventListener("click", () => acts[button.dataset.act ?? ""](view));
  }
  listenToPointer(view);
  listenToKeys(view);
  document.addEventListener("resflow-density", (event) => {
    if (event instanceof CustomEvent) showDensity(view, event.detail);
  }, { signal });
  document.addEventListener("keydown", (event) => leave(view, event), { signal });
  view.observer = new ResizeObserver(() => fitPlane(view));
  view.observer.observe(root);
  addEventListener("resize", () => fitPlane(view), { signal });
  return view;
}

/** @type {(view: View) => void} */
function fitPlane(view) {
  const [width, height] = [view.root.clientWidth, innerHeight];
  if (!width || view.size === `${width} ${height}`) return;
  view.size = `${width} ${height}`;
  const isNarrow = innerWidth <= 640;
  const side = Math.floor(Math.min(width, isNarrow ? width : Math.max(LEAST_SIDE, height - AROUND)));
  view.root.style.setProperty("--side", `${side}px`);
  for (const canvas of Object.values(view.canvases))
    Object.assign(canvas.style, { width: `${side}px`, height: `${side}px` });
  drawAll(view);
}

/**
 * Take a colour or the eraser.
 * @type {(view: View, kind: number) => void}
 */
function take(view, kind) {
  view.kind = kind;
  for (const button of buttonsOf(view.root, "[data-kind]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.kind) === kind));
  }
  drawBrush(view);
}

/**
 * The density that a live picture shows, at its place on this plane.
 * @type {(view: View, picture: Picture) => void}
 */
function showDensity(view, picture) {
  const density = picture.layers.find((layer) => layer.name === "density" && layer.kind === "field");
  if (density?.kind !== "field" || !view.picture.x.length) return;
  view.density = { ...density, visible: true };
  view.root.dataset.density = String(Number(view.root.dataset.density || 0) + 1);
  if (view.size) drawGround(view);
}

/** @type {(view: View) => void} */
export function forgetDensity(view) {
  view.density = null;
  view.root.dataset.density = "";
  if (view.size) drawGround(view);
}

/** @type {(view: View) => number[][]} */
const rowsOf = (view) => view.strokes.map(toRow);

/**
 * Send what is painted; again, until the server has it.
 * @type {(view: View) => void}
 */
export function send(view) {
  kept.set(view.canvas, view);
  view.tries = 0;
  sendNow(view);
}

/** @type {(view: View) => void} */
function sendNow(view) {
  clearTimeout(view.again);
  view.tell("strokes", rowsOf(view));
  view.again = setTimeout(() => {
    if (!view.root.isConnected || view.pen || view.has === JSON.stringify(rowsOf(view))) return;
    if (++view.tries < MOST_TRIES) sendNow(view);
  }, AGAIN_MS);
}

/** @type {(view: View) => void} */
function done(view) {
  lift(view);
  if (view.has !== JSON.stringify(rowsOf(view))) view.tell("strokes", rowsOf(view));
  view.tell("done", true);
}

/**
 * Escape puts the plane down, from wherever the focus is, unless something lies over it.
 * @type {(view: View, event: KeyboardEvent) => void}
 */
function leave(view, event) {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector(OVER)) return;
  event.preventDefault();
  done(view);
}

/** @type {(view: View) => void} */
export function showCount(view) {
  const [count, most] = [view.picture.x.length, view.rules.most].map((number) => number.toLocaleString("en"));
  view.root.dataset.points = String(view.picture.x.length);
  partOf(view.root, ".painter-count").textContent = `${count} of ${most} points`;
}

/**
 * What is said below the plane once the brush is lifted.
 * @type {(view: View) => void}
 */
export function showState(view) {
  showCount(view);
  const wrong = view.full || (view.strokes.length ? view.problem : "");
  const said = partOf(view.root, ".painter-said");
  const text = wrong || (view.strokes.length ? "" : "Paint here. A flow begins to learn when you lift the brush.");
  if (said.textContent !== text) said.textContent = text;
  said.classList.toggle("wrong", Boolean(wrong));
  partOfKind(view.root, "[data-act=undo]", HTMLButtonElement).disabled = !view.strokes.length && !view.history.length;
  partOfKind(view.root, "[data-act=clear]", HTMLButtonElement).disabled = !view.strokes.length;
  const classes = view.rules.classes.map(
    (name, kind) => `${countOf(view, kind).toLocaleString("en")} of class ${name}`,
  );
  view.box.setAttribute("aria-label", `Plane to paint on, with ${classes.join(" and ")}. Arrow keys move the brush, ` +
    "with Shift faster. Space paints or erases, Backspace undoes the last stroke, Escape ends.");
}

/** @type {(view: View, kind: number) => number} */
const countOf = ({ picture }, kind) => picture.kind.reduce((sum, one) => sum + (one === kind ? 1 : 0), 0);

/**
 * Where the keys have led the brush, for a screen reader.
 * @type {(view: View) => void}
 */
export function tellPlace(view) {
  const [x, y] = (view.cursor ?? []).map((along) => shown(unitsOf(view, along * view.rules.shares)));
  partOf(view.root, ".painter-said").textContent = `Brush at ${x}, ${y}`;
}

/** @type {(view: View, data: Data) => void} */
function receivePlane(view, data) {
  view.problem = data.problem;
  view.has = JSON.stringify(data.strokes);
  if (view.canvas !== data.canvas) {
    view.canvas = data.canvas;
    const before = kept.get(data.canvas);
    kept.clear();
    view.history = before?.history ?? [];
    become(view, before?.strokes ?? data.strokes.map(fromRow));
    view.box.focus({ preventScroll: true });
  }
  const dark = pageTheme(view.root).dark;
  if (view.theme && view.theme.dark !== dark) drawAll(view);
  if (!view.pen) showState(view);
}

/** @type {(call: Call<Data>) => () => void} */
export default function ({ data, parentElement, setTriggerValue }) {
  /** @type {HTMLElement & { painter?: View }} */
  const root = partOf(parentElement, ".painter");
  const view = (root.painter ??= mountPainter(root, data));
  view.tell = setTriggerValue;
  receivePlane(view, data);
  fitPlane(view);
  return () => unmountPainter(view);
}

/** @type {(view: View) => void} */
function unmountPainter(view) {
  clearInterval(view.holding);
  clearTimeout(view.again);
  view.observer?.disconnect();
  view.gone.abort();
}
