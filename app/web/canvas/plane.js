// A surface: two canvases that fill their box, sharp on dense displays, with two axes that the wheel zooms and a drag
// moves. The one behind is drawn with each picture; the one in front, with the axes and what stands still, where it
// changes. A third one over the corner is for a colour bar within the plot.
//
// A picture is {x: {title, range, ticks}, y: {title, range, ticks}, layers, ratio, bar, margin, grid}: layers are drawn
// in their order (`LAYERS`), but those with `visible: false`; those in front that are `still`, a list of what they
// depend on beside the axes and the theme. `ticks` are found by a function (`ticksOf` where there is none). With a
// `ratio`, a unit of y is as many of x's in pixels. Where there is no `margin`, numbers and titles stand within the
// plot, in the page's colours or those of `over`, which is "dark" or "light" by what they stand on. A colour bar is
// {title, range, palette, ticks}; it stands below the plot or, without a margin, in its corner. `grid` draws lines at
// the ticks.

import { applyStyle, styleAt } from "../style.js";
import { drawPath, haloed, LAYERS, traced } from "./layers.js";
import { contextOf, penOf } from "./page.js";
import { ticksOf } from "./ticks.js";

/**
 * @import {
 *   Axis, Bar, Box, Drawn, Layer, Margin, Palette, Pen, Picture, Place, Plot, Range, Surface, Theme, Tick, Window
 * } from "./types.js"
 */

/**
 * What a surface tells of hands: `moved` the ranges of both axes that they ask for, null for the whole; `pressed` the
 * place of a click, and `doubled` that it was the first half of a double one.
 * @typedef {{ moved: (ranges: Window | null) => void, pressed: (place: Place) => void, doubled: () => void }} Hands
 */

/** @typedef {(pen: Pen, layer: Layer, at: Plot, theme: Theme, surface: Drawn) => void} DrawLayer */

const STYLE = await styleAt(new URL("surface.css", import.meta.url));
/** @type {Margin} */
export const MARGIN = { left: 52, right: 22, top: 10, bottom: 44 };
/** @type {Margin} */
const FRAME = { left: 1, right: 1, top: 1, bottom: 1 };
export const BAR_BELOW = 54;
const BAR_LENGTH = 150; // of one within the plot
const BAR_ROOM = 34; // beside it, for its numbers
const FINE_ENDS = 3; // digits of its ends: where these stay, it would change by less than a pixel
const MOST_OF_PLOT = 0.5; // that it may take with its title on one line
const TICK = 4;
const TEXT = 13;
const LINE = 16;
const GAP = 6; // between two numbers, at least
const APART = [48, 36]; // pixels between ticks of x, and of y, at least
const WHEEL = 0.0015; // of a zoom by e for each pixel that a wheel turns
const CLICK = 4; // pixels that a press may move and not be a drag
export const TWICE = 300; // milliseconds within which a second press is one half of a double click

/**
 * A surface in an empty box. `told` returns as text what stands at the place of the pointer.
 * @type {(box: HTMLElement & { surface?: Surface }, hands: { told: (place: Place) => string } & Partial<Hands> &
 *   Pick<Hands, "moved">) => Surface}
 */
export function surfaceIn(box, { moved, told, pressed = () => {}, doubled = () => {} }) {
  applyStyle(box, STYLE);
  const [canvas, front, corner] = [1, 2, 3].map(() => document.createElement("canvas"));
  const tip = Object.assign(document.createElement("span"), { className: "canvas-tip", hidden: true });
  box.classList.add("canvas-box");
  box.replaceChildren(canvas, front, corner, tip);
  /** @type {Surface} */
  const surface = {
    box,
    canvas,
    front,
    corner,
    tip,
    size: [],
    picture: null,
    at: null,
    dense: 1,
    scale: 1,
    inFront: [],
    bar: null,
    told,
  };
  box.surface = surface;
  listenToHands(surface, { moved, pressed, doubled });
  return surface;
}

/**
 * Where the plot is in a box of this size, and how numbers become pixels.
 * @type {(picture: Pick<Picture, "x" | "y" | "ratio" | "margin">, width: number, height: number) => Plot}
 */
export function placeOfPlot({ x, y, ratio, margin = FRAME }, width, height) {
  const [[x0, x1], [y0, y1]] = [x.range, y.range];
  const room = {
    left: margin.left, top: margin.top, height: height - margin.top - margin.bottom,
    width: width - margin.left - margin.right,
  };
  const scale = ratio ? Math.min(room.width / (x1 - x0), room.height / (ratio * (y1 - y0))) : 0;
  const size = ratio ? { width: scale * (x1 - x0), height: scale * ratio * (y1 - y0) } : room;
  const left = room.left + (room.width - size.width) / 2;
  const top = room.top + (room.height - size.height) / 2;
  return {
    left, top, width: size.width, height: size.height,
    x: (value) => left + ((value - x0) / (x1 - x0)) * size.width,
    y: (value) => top + ((y1 - value) / (y1 - y0)) * size.height,
    atPixel: (p, q) => [x0 + ((p - left) / size.width) * (x1 - x0), y1 - ((q - top) / size.height) * (y1 - y0)],
  };
}

/**
 * Draw a picture, whatever was there before. `isResting`: the box is known to have the size of the last drawing, so
 * that the page is not laid out to measure it.
 * @type {(surface: Surface, picture: Picture, theme: Theme, isResting?: boolean) => void}
 */
export function drawPicture(surface, picture, theme, isResting = false) {
  const { box, canvas, front } = surface;
  const size = isResting && surface.size.length ? surface.size : [box.clientWidth, box.clientHeight];
  if (!size[0] || !size[1]) return;
  if (surface.size.join() !== size.join()) {
    surface.size = size;
    for (const one of [canvas, front]) Object.assign(one.style, { width: `${size[0]}px`, height: `${size[1]}px` });
  }
  const { scale = 1 } = theme;
  const [width, height, dense] = [size[0] / scale, size[1] / scale, scale * (window.devicePixelRatio || 1)];
  const at = placeOfPlot(picture, width, height);
  Object.assign(surface, { picture, at, dense, scale });
  const [moving, still] = [false, true].map((is) =>
    picture.layers.filter((layer) => layer.visible !== false && Boolean(layer.still) === is));
  const pen = penOf(canvas, width, height, dense);
  at.bar = drawBarOf(picture, surface, at, pen, theme);
  const drawn = Object.assign(surface, { at });
  drawLayers(pen, drawn, moving, theme, () => picture.grid && drawGrid(pen, picture, ticksIn(picture, at), at, theme));
  const { x, y, over } = picture;
  const inFront = [
    over,
    theme.ink(1),
    theme.paper,
    theme.font,
    width,
    height,
    dense,
    at.left,
    at.top,
    at.width,
    ...x.range,
    ...y.range,
    x.title,
    y.title,
    ...still.flatMap((layer) => [layer.name, ...(layer.still ?? [])]),
  ];
  if (inFront.length === surface.inFront.length && inFront.every((one, i) => one === surface.inFront[i])) return;
  surface.inFront = inFront;
  const above = penOf(front, width, height, dense);
  drawLayers(above, drawn, still, theme);
  (picture.margin ? drawAxes : drawAxesWithin)(above, picture, ticksIn(picture, at), at, theme);
}

/**
 * Draw a picture with a margin by any pen, in a box of this size at its origin.
 * @type {(pen: Pen, picture: Picture & { margin: Margin }, width: number, height: number, theme: Theme, dense: number)
 *   => void}
 */
export function drawOnce(pen, picture, width, height, theme, dense) {
  const at = placeOfPlot(picture, width, height);
  const ticks = ticksIn(picture, at);
  const seen = picture.layers.filter(({ visible }) => visible !== false);
  const inOrder = [false, true].flatMap((is) => seen.filter(({ still }) => Boolean(still) === is));
  drawLayers(pen, { at, dense }, inOrder, theme, () => picture.grid && drawGrid(pen, picture, ticks, at, theme));
  drawAxes(pen, picture, ticks, at, theme);
  if (picture.bar) drawBarBelow(pen, picture.bar, at, theme);
}

/**
 * Layers within the frame of the plot, over what is drawn first.
 * @type {(pen: Pen, surface: { at: Plot, dense: number }, layers: Layer[], theme: Theme, drawFirst?: () => void) =>
 *   void}
 */
function drawLayers(pen, surface, layers, theme, drawFirst = () => {}) {
  const { at } = surface;
  pen.save();
  pen.beginPath();
  pen.rect(at.left, at.top, at.width, at.height);
  pen.clip();
  drawFirst();
  for (const layer of layers) {
    const draw = /** @type {DrawLayer} */ (LAYERS[layer.kind]);
    draw(pen, layer, at, theme, surface);
  }
  pen.restore();
}

/**
 * The ticks of x and of y, as many as there is room for.
 * @type {(picture: Picture, at: Box) => [Tick[], Tick[]]}
 */
function ticksIn({ x, y }, { width, height }) {
  /** @type {(axis: Axis, size: number, apart: number) => Tick[]} */
  const along = ({ range, ticks = ticksOf }, size, apart) =>
    ticks(range, Math.max(2, Math.min(6, Math.floor(size / apart))));
  return [along(x, width, APART[0]), along(y, height, APART[1])];
}

/** @type {(context: Pen, picture: Picture, ticks: [Tick[], Tick[]], at: Plot, theme: Theme) => void} */
function drawGrid(context, { x, y }, [across, up], at, theme) {
  context.beginPath();
  for (const { value } of across) traced(context, [value, value], y.range, at);
  for (const { value } of up) traced(context, x.range, [value, value], at);
  drawPath(context, { colour: theme.ink(0.09), width: 1 });
}

/** @type {(context: Pen, picture: Picture, ticks: [Tick[], Tick[]], at: Plot, theme: Theme) => void} */
function drawAxes(context, { x, y, margin = MARGIN }, [across, up], at, theme) {
  const bottom = at.top + at.height;
  Object.assign(context, { lineWidth: 1, strokeStyle: theme.ink(0.2) });
  context.strokeRect(at.left, at.top, at.width, at.height);
  Object.assign(context, { strokeStyle: theme.ink(0.3), fillStyle: theme.ink(0.65), font: `${TEXT}px ${theme.font}` });
  context.beginPath();
  Object.assign(context, { textAlign: "center", textBaseline: "top" });
  for (const { value, text } of across) {
    context.moveTo(at.x(value), bottom);
    context.lineTo(at.x(value), bottom + TICK);
    context.fillText(text, at.x(value), bottom + TICK + 3);
  }
  Object.assign(context, { textAlign: "right", textBaseline: "middle" });
  for (const { value, text } of up) {
    context.moveTo(at.left, at.y(value));
    context.lineTo(at.left - TICK, at.y(value));
    context.fillText(text, at.left - TICK - 3, at.y(value));
  }
  context.stroke();
  Object.assign(context, { fillStyle: theme.ink(0.8), textAlign: "center", textBaseline: "bottom" });
  context.fillText(x.title, at.left + at.width / 2, bottom + MARGIN.bottom - 5);
  turned(context, y.title, at.left - margin.left + 1, at.top + at.height / 2, "top");
}

/**
 * What is written over a picture: `ink`, and a `halo` behind it.
 * @type {Record<string, { ink: string, halo: string }>}
 */
const WRITTEN = {
  dark: { ink: "#fff", halo: "rgba(20,16,40,0.62)" },
  light: { ink: "rgb(35,35,45)", halo: "rgba(255,255,255,0.78)" },
};
/** @type {(picture: Picture, theme: Theme) => { ink: string, halo: string }} */
const writtenOver = ({ over }, theme) => (over && WRITTEN[over]) || { ink: theme.ink(0.9), halo: theme.halo };

const CORNER = 30; // pixels of an end of an axis where its title stands, and no number

/** @type {(context: Pen, picture: Picture, ticks: [Tick[], Tick[]], at: Plot, theme: Theme) => void} */
function drawAxesWithin(context, picture, [across, up], at, theme) {
  const { x, y } = picture;
  const { ink, halo } = writtenOver(picture, theme);
  const [right, bottom] = [at.left + at.width, at.top + at.height];
  Object.assign(context, { lineWidth: 1, strokeStyle: theme.ink(0.35) });
  context.strokeRect(at.left, at.top, at.width, at.height);
  const style = { paper: halo, ink, size: TEXT, family: theme.font };
  /** @type {(text: string, p: number, q: number, align: CanvasTextAlign, baseline: CanvasTextBaseline) => void} */
  const write = (text, p, q, textAlign, textBaseline) =>
    haloed(context, text, p, q, { ...style, textAlign, textBaseline });
  context.font = `${TEXT}px ${theme.font}`;
  const last = right - Math.max(CORNER, 22 + context.measureText(x.title).width);
  context.beginPath();
  for (const { value, text } of across) {
    const p = at.x(value);
    context.moveTo(p, bottom);
    context.lineTo(p, bottom - TICK);
    if (p > at.left + CORNER && p < last) write(text, p, bottom - TICK - 2, "center", "bottom");
  }
  for (const { value, text } of up) {
    const q = at.y(value);
    context.moveTo(at.left, q);
    context.lineTo(at.left + TICK, q);
    if (q > at.top + CORNER && q < bottom - CORNER) write(text, at.left + TICK + 3, q, "left", "middle");
  }
  drawPath(context, { colour: ink, width: 1, halo });
  write(x.title, right - 6, bottom - TICK - 2, "right", "bottom");
  write(y.title, at.left + 6, at.top + 6, "left", "top");
}

/**
 * Text that reads upwards.
 * @type {(context: Pen, text: string, x: number, y: number, baseline: CanvasTextBaseline) => void}
 */
function turned(context, text, x, y, baseline) {
  context.save();
  context.translate(x, y);
  context.rotate(-Math.PI / 2);
  Object.assign(context, { textAlign: "center", textBaseline: baseline });
  context.fillText(text, 0, 0);
  context.restore();
}

/** @type {WeakMap<Palette, HTMLCanvasElement>} */
const bars = new WeakMap();

/**
 * A palette as a picture one pixel wide, its first colour at the left.
 * @type {(palette: Palette) => HTMLCanvasElement}
 */
function barOf(palette) {
  let bar = bars.get(palette);
  if (!bar) {
    bar = Object.assign(document.createElement("canvas"), { width: palette.length, height: 1 });
    contextOf(bar).putImageData(new ImageData(new Uint8ClampedArray(palette.buffer), palette.length, 1), 0, 0);
    bars.set(palette, bar);
  }
  return bar;
}

/**
 * The colour bar of a picture: below its plot or, without a margin, on a canvas of its own over the corner. Returns
 * the place in the plot that it takes.
 * @type {(picture: Picture, surface: Surface, at: Plot, pen: Pen, theme: Theme) => Box | null}
 */
function drawBarOf(picture, surface, at, pen, theme) {
  const { bar, margin } = picture;
  const { corner, dense, scale } = surface;
  corner.hidden = !bar || Boolean(margin);
  if (!bar) return null;
  if (margin) {
    drawBarBelow(pen, bar, at, theme);
    return null;
  }
  const ends = bar.range.map((end) => Number(end.toPrecision(FINE_ENDS)));
  const look = [picture.over, theme.ink(1), theme.font, dense];
  const seen = [bar.title, bar.palette, bar.ticks, ...ends, ...look, at.left, at.top, at.width];
  if (surface.bar && seen.every((one, i) => one === surface.bar?.seen[i])) return surface.bar.place;
  pen.font = `${TEXT}px ${theme.font}`;
  /** @type {(lines: string[]) => number} */
  const widest = (lines) => Math.ceil(Math.max(...lines.map((line) => pen.measureText(line).width)));
  const isNarrow = widest([bar.title]) + BAR_ROOM > MOST_OF_PLOT * at.width;
  const title = isNarrow ? halves(bar.title) : [bar.title];
  const length = Math.max(isNarrow ? 0 : BAR_LENGTH / scale, widest(title));
  const [width, height] = [length + BAR_ROOM, 40 + LINE * title.length];
  const place = { left: at.left + at.width - width - 1, top: at.top + 1, width, height };
  for (const [side, pixels] of Object.entries(place)) corner.style.setProperty(side, `${scale * pixels}px`);
  const above = penOf(corner, width, height, dense);
  const { ink, halo } = writtenOver(picture, theme);
  above.fillStyle = halo;
  above.fillRect(0, 0, width, height);
  drawBar(above, bar, BAR_ROOM / 2, 8 + LINE * title.length, length, { ink, font: theme.font }, title);
  surface.bar = { seen, place };
  return place;
}

/** @type {(pen: Pen, bar: Bar, at: Plot, theme: Theme) => void} */
function drawBarBelow(pen, bar, at, theme) {
  const look = { ink: theme.ink(0.75), font: theme.font };
  drawBar(pen, bar, at.left, at.top + at.height + MARGIN.bottom + 6, at.width, look);
}

/**
 * A text on two lines, broken at the space that is nearest to its middle.
 * @type {(text: string) => string[]}
 */
function halves(text) {
  const spaces = [...text.matchAll(/ /g)].map(({ index }) => index);
  /** @type {(at: number) => number} */
  const middle = (at) => Math.abs(at - text.length / 2);
  const at = spaces.reduce((best, one) => (middle(one) < middle(best) ? one : best), spaces[0] ?? text.length);
  return [text.slice(0, at), text.slice(at + 1)];
}

/**
 * @type {(pen: Pen, bar: Bar, left: number, top: number, length: number, look: { ink: string, font: string }, above?:
 *   string[]) => void}
 */
function drawBar(pen, { title, range, palette, ticks = ticksOf }, left, top, length, { ink, font }, above = []) {
  pen.imageSmoothingEnabled = true;
  pen.drawImage(barOf(palette), left, top, length, 9);
  Object.assign(pen, { font: `${TEXT}px ${font}`, fillStyle: ink, textAlign: "center", textBaseline: "top" });
  /** @type {(value: number) => number} */
  const share = (value) => (value - range[0]) / (range[1] - range[0]);
  let free = -Infinity;
  for (const { value, text } of ticks(range, Math.max(2, Math.min(5, Math.floor(length / APART[0]))))) {
    const [middle, half] = [left + share(value) * length, pen.measureText(text).width / 2];
    if (middle - half < free) continue;
    pen.fillText(text, middle, top + 12);
    free = middle + half + GAP;
  }
  above.forEach((line, k) => pen.fillText(line, left + length / 2, top - 3 - LINE * (above.length - k)));
  if (!above.length) pen.fillText(title, left + length / 2, top + 29);
}

/**
 * Both ranges, zoomed by a factor around a place.
 * @type {(picture: Picture, place: Place, factor: number) => Window}
 */
export function zoomed({ x, y }, [u, v], factor) {
  /** @type {(range: Range, place: number) => Range} */
  const around = ([low, high], place) => [place + (low - place) * factor, place + (high - place) * factor];
  return [around(x.range, u), around(y.range, v)];
}

/**
 * A plane does not trap the page: the wheel zooms with Ctrl or ⌘, or after a click into the plane until the pointer
 * leaves it. One finger scrolls the page and two zoom.
 * @type {(surface: Surface, hands: Hands) => void}
 */
function listenToHands(surface, { moved, pressed, doubled }) {
  const { box, canvas } = surface;
  /** @type {{ place: Place, at: Plot, ranges: Window, moving: boolean } | null} */
  let from = null; // where a press began: pixels and ranges
  let pressedAt = -Infinity;
  let isEntered = false; // by a click
  /** @type {(at: { clientX: number, clientY: number }) => Place} */
  const pixels = ({ clientX, clientY }) => {
    const { left, top } = canvas.getBoundingClientRect();
    return [(clientX - left) / surface.scale, (clientY - top) / surface.scale];
  };
  /** @type {(place: Place) => boolean} */
  const isInside = ([p, q]) => {
    const { at } = surface;
    return at !== null && p >= at.left && p <= at.left + at.width && q >= at.top && q <= at.top + at.height;
  };
  box.addEventListener("wheel", (event) => {
    const place = pixels(event);
    const { picture, at } = surface;
    if (!picture || !at || !isInside(place) || !(event.ctrlKey || event.metaKey || isEntered)) return;
    event.preventDefault();
    moved(zoomed(picture, at.atPixel(...place), Math.exp(WHEEL * event.deltaY)));
  }, { passive: false });
  box.addEventListener("dblclick", (event) => {
    if (!isInside(pixels(event))) return;
    moved(null);
    doubled();
  });
  box.addEventListener("pointerdown", (event) => {
    const { picture, at } = surface;
    if (event.button || !picture || !at || !isInside(pixels(event))) return;
    const { x, y } = picture;
    from = { place: pixels(event), at, ranges: [x.range, y.range], moving: false };
    if (event.pointerType !== "touch") canvas.setPointerCapture(event.pointerId);
  });
  box.addEventListener("pointermove", (event) => {
    const place = pixels(event);
    if (from) {
      from.moving ||= surface.scale * Math.hypot(place[0] - from.place[0], place[1] - from.place[1]) >= CLICK;
      if (!from.moving || event.pointerType === "touch") return;
      const [start, end] = [from.at.atPixel(...from.place), from.at.atPixel(...place)];
      const [x, y] = from.ranges;
      const [across, up] = [end[0] - start[0], end[1] - start[1]];
      moved([[x[0] - across, x[1] - across], [y[0] - up, y[1] - up]]);
    }
    tell(surface, isInside(place) ? place : null);
  });
  box.addEventListener("pointerup", (event) => {
    const isClick = from && !from.moving;
    from = null;
    if (!isClick) return;
    isEntered = event.pointerType !== "touch";
    if (surface.at && event.timeStamp - pressedAt > TWICE) pressed(surface.at.atPixel(...pixels(event)));
    pressedAt = event.timeStamp;
  });
  box.addEventListener("pointercancel", () => { from = null; });
  box.addEventListener("pointerleave", () => {
    isEntered = false;
    tell(surface, null);
  });
  listenToFingers(surface, moved, pixels, isInside, () => { from = null; });
}

/**
 * Two fingers hold the places that they have touched.
 * @type {(surface: Surface, moved: Hands["moved"], pixels: (at: { clientX: number, clientY: number }) => Place,
 *   isInside: (place: Place) => boolean, begun: () => void) => void}
 */
function listenToFingers(surface, moved, pixels, isInside, begun) {
  const { box } = surface;
  /** @type {{ apart: number, picture: Picture, place: Place } | null} */
  let held = null; // the distance of the fingers and the picture that they hold
  /** @type {(event: TouchEvent) => { middle: Place, apart: number }} */
  const fingers = ({ touches }) => {
    const [a, b] = [...touches].map(pixels);
    return { middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], apart: Math.hypot(a[0] - b[0], a[1] - b[1]) };
  };
  box.addEventListener("touchstart", (event) => {
    const { picture, at } = surface;
    if (event.touches.length !== 2 || !picture || !at || !isInside(fingers(event).middle)) return;
    event.preventDefault();
    begun();
    const { middle, apart } = fingers(event);
    held = { apart, picture, place: at.atPixel(...middle) };
  }, { passive: false });
  box.addEventListener("touchmove", (event) => {
    if (!held || event.touches.length !== 2) return;
    event.preventDefault();
    moved(zoomed(held.picture, held.place, held.apart / Math.max(fingers(event).apart, 1)));
  }, { passive: false });
  for (const end of ["touchend", "touchcancel"]) box.addEventListener(end, () => { held = null; });
}

/**
 * What stands where the pointer is, beside it.
 * @type {(surface: Surface, place: Place | null) => void}
 */
function tell(surface, place) {
  const { tip, at, told, scale } = surface;
  const text = place && at && told(at.atPixel(...place));
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const isRight = place[0] > at.left + at.width / 2;
  const [left, top] = place.map((pixels) => scale * pixels);
  Object.assign(tip.style, {
    left: isRight ? "" : `${left + 12}px`, right: isRight ? `${surface.box.clientWidth - left + 12}px` : "",
    top: `${top + 12}px`,
  });
}
