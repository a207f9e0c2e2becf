// What a picture is made of. Each kind draws one layer: `at.x` and `at.y` turn numbers into pixels, `at` has the plot's
// `left`, `top`, `width` and `height`, and `surface` keeps what the next drawing can use again.

import { GREY, rgb, SIGNED, VIRIDIS } from "./colours.js";
import { contour } from "./field.js";
import { contextOf } from "./page.js";

/** @import { Drawn, Field, Layer, Look, Marker, Numbers, Palette, Pen, Plot, Range, Theme } from "./types.js" */

/**
 * How a text is written over a picture: its colour and that around it, and where its place is in it.
 * @typedef {{ paper: string, ink: string, size: number, family: string, textAlign?: CanvasTextAlign,
 *   textBaseline?: CanvasTextBaseline }} Written
 */

/** @type {Record<string, (path: Pen, r: number) => void>} */
const SYMBOLS = {
  circle: (path, r) => path.arc(0, 0, r, 0, 7),
  square: (path, r) => path.rect(-0.9 * r, -0.9 * r, 1.8 * r, 1.8 * r),
  diamond: (path, r) => polygon(path, [[0, -1.25 * r], [1.25 * r, 0], [0, 1.25 * r], [-1.25 * r, 0]]),
  "triangle-up": (path, r) => polygon(path, [[0, -1.2 * r], [1.1 * r, 0.8 * r], [-1.1 * r, 0.8 * r]]),
  "triangle-down": (path, r) => polygon(path, [[0, 1.2 * r], [1.1 * r, -0.8 * r], [-1.1 * r, -0.8 * r]]),
  cross: (path, r) => polygon(path, crossOf(0.4 * r, r)),
  x: (path, r) => polygon(path, crossOf(0.4 * r, r).map(([x, y]) => [(x - y) * 0.75, (x + y) * 0.75])),
  star: (path, r) => polygon(path, Array.from({ length: 10 }, (_, k) => {
    const [angle, reach] = [(Math.PI * k) / 5, (k % 2 ? 0.5 : 1.3) * r];
    return [reach * Math.sin(angle), -reach * Math.cos(angle)];
  })),
};

/** @type {(path: Pen, corners: number[][]) => void} */
function polygon(path, corners) {
  corners.forEach(([x, y], k) => (k ? path.lineTo(x, y) : path.moveTo(x, y)));
  path.closePath();
}

/** @type {(a: number, b: number) => number[][]} */
const crossOf = (a, b) => [
  [-a, -b], [a, -b], [a, -a], [b, -a], [b, a], [a, a], [a, b], [-a, b], [-a, a], [-b, a], [-b, -a], [-a, -a],
];

/**
 * A marker at the origin of a pen: `colour`, or its outline where the symbol is open.
 * @type {(context: Pen, marker: Marker) => void}
 */
function drawMarker(context, { size, symbol, colour, edge }) {
  const [shape, open] = [symbol.replace("-open", ""), symbol.endsWith("-open")];
  context.beginPath();
  SYMBOLS[shape](context, size / 2);
  Object.assign(context, { fillStyle: colour, strokeStyle: colour, lineWidth: 2 });
  if (open) context.stroke();
  else context.fill();
  if (edge?.width && !open) {
    Object.assign(context, { strokeStyle: edge.colour, lineWidth: edge.width });
    context.stroke();
  }
}

/** @type {Map<string, { sprite: HTMLCanvasElement, side: number }>} */
const sprites = new Map();

/**
 * A marker as a small picture, drawn once.
 * @type {(marker: Marker, dense: number) => { sprite: HTMLCanvasElement, side: number }}
 */
function spriteOf({ size, symbol, colour, edge }, dense) {
  const key = [size, symbol, colour, edge?.width, edge?.colour, dense].join();
  let found = sprites.get(key);
  if (!found) {
    if (sprites.size > 200) sprites.clear(); // themes and sizes that are gone
    const side = Math.ceil(1.4 * size + (edge?.width ?? 0)) + 4;
    const sprite = Object.assign(document.createElement("canvas"), { width: side * dense, height: side * dense });
    const context = contextOf(sprite);
    context.setTransform(dense, 0, 0, dense, (side * dense) / 2, (side * dense) / 2);
    drawMarker(context, { size, symbol, colour, edge });
    found = { sprite, side };
    sprites.set(key, found);
  }
  return found;
}

/**
 * How a marker is drawn at a place.
 * @type {(context: Pen, marker: Marker, dense: number) => (p: number, q: number) => void}
 */
export function stampOf(context, marker, dense) {
  const { symbol, size, colour, edge } = marker;
  if (symbol === "circle" && !edge?.width) { // by a third of the time that a small picture takes
    return (p, q) => {
      context.fillStyle = colour;
      context.beginPath();
      context.arc(p, q, size / 2, 0, 7);
      context.fill();
    };
  }
  if (context.isVector) {
    return (p, q) => {
      context.save();
      context.translate(p, q);
      drawMarker(context, marker);
      context.restore();
    };
  }
  const { sprite, side } = spriteOf(marker, dense);
  return (p, q) => context.drawImage(sprite, p - side / 2, q - side / 2, side, side);
}

/** @type {(rgb: number[]) => number} */
const asPixel = ([r, g, b]) => new Uint32Array(Uint8ClampedArray.of(r, g, b, 255).buffer)[0];
const NO_NUMBER = asPixel(GREY);

/**
 * 256 colours between those of a palette, as canvas pixels.
 * @type {(colours: string[]) => Palette}
 */
export function paletteOf(colours) {
  const ends = colours.map(rgb);
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let k = 0; k < 256; k++) {
    const place = (k / 255) * (ends.length - 1);
    const i = Math.min(ends.length - 2, Math.floor(place));
    for (let j = 0; j < 3; j++) bytes[4 * k + j] = ends[i][j] + (place - i) * (ends[i + 1][j] - ends[i][j]);
    bytes[4 * k + 3] = 255;
  }
  return new Uint32Array(bytes.buffer);
}

export const PALETTES = { viridis: paletteOf(VIRIDIS), signed: paletteOf(SIGNED) };

/**
 * A field as pixels, a node each, with y upwards; grey where it has no number.
 * @type {(surface: Drawn, field: Field, range: Range, palette: Palette) => HTMLCanvasElement}
 */
function bitmapOf(surface, { values, rows, columns }, [low, high], palette) {
  const bitmap = (surface.bitmap ??= document.createElement("canvas"));
  let pixels = surface.pixels;
  if (!pixels || bitmap.width !== columns || bitmap.height !== rows) {
    Object.assign(bitmap, { width: columns, height: rows });
    pixels = surface.pixels = new ImageData(columns, rows);
  }
  const colours = new Uint32Array(pixels.data.buffer);
  const scale = 255 / (high - low || 1);
  for (let r = 0; r < rows; r++) {
    const to = (rows - 1 - r) * columns;
    for (let c = 0; c < columns; c++) {
      const level = (values[r * columns + c] - low) * scale;
      colours[to + c] = Number.isNaN(level) ? NO_NUMBER : palette[level < 0 ? 0 : level > 255 ? 255 : level | 0];
    }
  }
  contextOf(bitmap).putImageData(pixels, 0, 0);
  return bitmap;
}

/**
 * A line through points, in pieces where there are gaps.
 * @type {(context: Pen, x: Numbers, y: Numbers, at: Plot, from?: number, to?: number) => void}
 */
export function traced(context, x, y, at, from = 0, to = x.length) {
  let drawing = false;
  for (let i = from; i < to; i++) {
    const [p, q] = [at.x(x[i]), at.y(y[i])];
    if (Number.isNaN(p) || Number.isNaN(q)) drawing = false;
    else if (drawing) context.lineTo(p, q);
    else {
      context.moveTo(p, q);
      drawing = true;
    }
  }
}

/**
 * Draw the path that has been begun, over a wider one of the colour `halo` where it must be seen on any ground.
 * @type {(context: Pen, look: Look) => void}
 */
export function drawPath(context, { colour, width, dash = [], halo = null, opacity = 1 }) {
  context.setLineDash(dash);
  context.lineJoin = "round";
  if (halo) {
    const wide = width + Math.min(2.4, 2 * width);
    Object.assign(context, { strokeStyle: halo, lineWidth: wide, globalAlpha: 0.6 * opacity });
    context.stroke();
  }
  Object.assign(context, { strokeStyle: colour, lineWidth: width, globalAlpha: opacity });
  context.stroke();
  context.globalAlpha = 1;
  context.setLineDash([]);
}

const PLACES = 8; // along a line, less one, at which its name is tried

/** @type {(context: Pen, text: string, x: number, y: number, look: Written) => void} */
export function haloed(context, text, x, y, look) {
  const { paper, ink, size, family, textAlign = "center", textBaseline = "middle" } = look;
  Object.assign(context, { font: `${size}px ${family}`, textAlign, textBaseline, lineWidth: 3, lineJoin: "round",
    strokeStyle: paper, fillStyle: ink });
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
}

/**
 * Whether a name at this place is within the plot, and meets neither its colour bar nor another name.
 * @type {(p: number, q: number, at: Plot, names: [string, number, number][]) => boolean}
 */
function hasRoom(p, q, { left, top, width, height, bar }, names) {
  const isInside = p > left + 18 && p < left + width - 18 && q > top + 10 && q < top + height - 10;
  const isBelowBar = bar && p > bar.left - 22 && q < bar.top + bar.height + 10;
  return isInside && !isBelowBar && names.every(([, x, y]) => Math.abs(p - x) > 44 || Math.abs(q - y) > 20);
}

/**
 * Whether a line, {x ascending, y}, passes through a box of pixels.
 * @type {(line: { x: Numbers, y: Numbers }, box: { left: number, right: number, top: number, bottom: number }, at:
 *   Plot) => boolean}
 */
function passes({ x, y }, { left, right, top, bottom }, at) {
  for (let i = 0; i < x.length; i++) {
    const [p, q] = [at.x(x[i]), at.y(y[i])];
    const [before, above] = i ? [at.x(x[i - 1]), at.y(y[i - 1])] : [p, q];
    const [from, to] = [Math.max(left, before), Math.min(right, p)]; // the part of this piece that is over the box
    if (!(from <= to) || Number.isNaN(q) || Number.isNaN(above)) continue;
    /** @type {(place: number) => number} */
    const height = (place) => (p > before ? above + ((place - before) / (p - before)) * (q - above) : q);
    const [one, other] = [height(from), height(to)];
    if (Math.max(one, other) >= top && Math.min(one, other) <= bottom) return true;
  }
  return false;
}

/**
 * Where a text beside a level line at the pixel `q` covers no line or, if there is no such place, the thinnest ones:
 * {left, above}. The first that is found from the left on, where the newest of a curve is not.
 * @type {(wide: number, tall: number, q: number, lines: { x: Numbers, y: Numbers, width: number }[], at: Plot) => {
 *   left: number, above: boolean }}
 */
function freePlace(wide, tall, q, lines, at) {
  const clear = 2; // pixels that a line stays away from it
  const places = [];
  for (let k = 0; k <= PLACES; k++) {
    const left = at.left + 6 + (k / PLACES) * (at.width - 12 - wide);
    for (const above of [true, false]) {
      const top = above ? q - 3 - tall : q + 3;
      if (top < at.top || top + tall > at.top + at.height) continue;
      const box = { left: left - clear, right: left + wide + clear, top: top - clear, bottom: top + tall + clear };
      const covered = lines.filter((line) => passes(line, box, at)).reduce((sum, { width }) => sum + width, 0);
      places.push({ left, above, covered });
    }
  }
  return places.reduce(
    (best, one) => (one.covered < best.covered ? one : best),
    places[0] ?? { left: at.left + 6, above: true },
  );
}

/**
 * How lines look: {colour, width, dash, halo, opacity}, the last three where they have any.
 * @type {{ [Kind in Layer["kind"]]: (pen: Pen, layer: Extract<Layer, { kind: Kind }>, at: Plot, theme: Theme, surface:
 *   Drawn) => void }}
 */
export const LAYERS = {
  /** {field, window, range, palette: of `paletteOf`, crisp}: `crisp` shows the cells as they are */
  field(context, { field, window: [[x0, x1], [y0, y1]], range, palette, crisp }, at, _, surface) {
    const bitmap = bitmapOf(surface, field, range, palette);
    const [dx, dy] = [(x1 - x0) / (field.columns - 1) / 2, (y1 - y0) / (field.rows - 1) / 2];
    const [left, top] = [at.x(x0 - dx), at.y(y1 + dy)];
    context.save();
    context.beginPath(); // not the half cell beyond the outermost nodes
    context.rect(at.x(x0), at.y(y1), at.x(x1) - at.x(x0), at.y(y0) - at.y(y1));
    context.clip();
    context.imageSmoothingEnabled = !crisp;
    context.drawImage(bitmap, left, top, at.x(x1 + dx) - left, at.y(y0 - dy) - top);
    context.restore();
  },

  /** {field, window, levels: [{value, text}], named} and how lines look: texts stand on their curves where `named`. */
  contours(context, { field, window: [[x0, x1], [y0, y1]], levels, named, ...look }, at, theme) {
    /** @type {(c: number) => number} */
    const x = (c) => at.x(x0 + ((x1 - x0) * c) / (field.columns - 1));
    /** @type {(r: number) => number} */
    const y = (r) => at.y(y0 + ((y1 - y0) * r) / (field.rows - 1));
    /** @type {[string, number, number][]} */
    const names = [];
    context.beginPath();
    levels.forEach(({ value, text }, k) => {
      // Each name stands where its curve goes farthest in a direction of its own, away from the others.
      const [ux, uy] = [Math.cos(2.4 * k - 1), Math.sin(2.4 * k - 1)];
      let best = -Infinity;
      /** @type {[number, number] | null} */
      let place = null;
      for (const line of contour(field, value)) {
        for (let i = 0; i < line.x.length; i++) {
          const [px, py] = [x(line.x[i]), y(line.y[i])];
          if (i) context.lineTo(px, py);
          else context.moveTo(px, py);
          const far = ux * px + uy * py;
          if (named && far > best && hasRoom(px, py, at, names)) [best, place] = [far, [px, py]];
        }
      }
      if (place && text) names.push([text, ...place]);
    });
    drawPath(context, look);
    const style = { paper: "rgba(20,20,40,0.75)", ink: "#fff", size: 13, family: theme.font };
    for (const name of names) haloed(context, ...name, style);
  },

  /** {x, y, marker: {size, symbol, colour, edge}, opacity} or, for a marker each, {x, y, markers, index, opacity} */
  points(context, { x, y, marker, markers, index, opacity = 1 }, at, _, surface) {
    const drawn = (markers ?? (marker ? [marker] : [])).map((one) => stampOf(context, one, surface.dense));
    context.globalAlpha = opacity;
    for (let i = 0; i < x.length; i++) {
      const [p, q] = [at.x(x[i]), at.y(y[i])];
      if (!(p > at.left - 9 && q > at.top - 9 && p < at.left + at.width + 9 && q < at.top + at.height + 9)) continue;
      drawn[index ? index[i] : 0](p, q);
    }
    context.globalAlpha = 1;
  },

  /** {x, y} and how lines look: NaN is a gap */
  line(context, { x, y, ...look }, at) {
    context.beginPath();
    traced(context, x, y, at);
    drawPath(context, look);
  },

  /** {x, y, text}: a name beside a place */
  name(context, { x, y, text }, at, theme) {
    /** @type {Written} */
    const style = { paper: theme.paper, ink: theme.ink(1), size: 13, family: theme.font, textAlign: "left" };
    haloed(context, text, at.x(x) + 11, at.y(y) - 9, style);
  },

  /** {x, y}: a ring around what is chosen, dark within light */
  ring(context, { x, y }, at) {
    context.beginPath();
    context.arc(at.x(x), at.y(y), 7.5, 0, 7);
    drawPath(context, { colour: "#fff", width: 4.5 });
    drawPath(context, { colour: "#000", width: 2 });
  },

  /** {x, low, high, colour}: the area between two lines */
  band(context, { x, low, high, colour }, at) {
    context.beginPath();
    x.forEach((value, i) => context.lineTo(at.x(value), at.y(high[i])));
    for (let i = x.length - 1; i >= 0; i--) context.lineTo(at.x(x[i]), at.y(low[i]));
    context.fillStyle = colour;
    context.fill();
  },

  /** {radii: [[r, text]], colour}: circles around 0, dashed, with their names above */
  circles(context, { radii, colour }, at, theme) {
    for (const [r] of radii) {
      context.beginPath();
      context.ellipse(at.x(0), at.y(0), at.x(r) - at.x(0), at.y(0) - at.y(r), 0, 0, 7);
      drawPath(context, { colour, width: 1.2, dash: [4, 3] });
    }
    const style = { paper: theme.paper, ink: theme.ink(0.9), size: 13, family: theme.font };
    for (const [r, text] of radii) haloed(context, text, at.x(0), at.y(r), style);
  },

  /** {y, text, above, colour, avoids}: a dashed line across the plot, with its name at the right, or where it covers
   * least of the lines that it `avoids`: {x ascending, y, width} each */
  level(context, { y, text, above, colour, avoids }, at, theme) {
    context.beginPath();
    context.moveTo(at.left, at.y(y));
    context.lineTo(at.left + at.width, at.y(y));
    drawPath(context, { colour, width: 1.2, dash: [4, 3] });
    const [size, family] = [13, theme.font];
    context.font = `${size}px ${family}`;
    const place = avoids ? freePlace(context.measureText(text).width, size + 3, at.y(y), avoids, at)
      : { left: at.left + at.width - 6 - context.measureText(text).width, above };
    /** @type {Written} */
    const style = { paper: theme.paper, ink: theme.ink(0.75), size, family, textAlign: "left",
      textBaseline: place.above ? "bottom" : "top" };
    haloed(context, text, place.left, at.y(y) + (place.above ? -3 : 3), style);
  },

  /** {of: [{x, y, text}]}: texts above their places */
  values(context, { of }, at, theme) {
    Object.assign(context, { font: `12px ${theme.font}`, textAlign: "center", textBaseline: "bottom",
      fillStyle: theme.ink(0.9) });
    for (const { x, y, text } of of) context.fillText(text, at.x(x), at.y(y) - 4);
  },

  /** {rows: [[colour, text]]}: what colours mean, in a corner */
  key(context, { rows }, at, theme) {
    Object.assign(context, { font: `13px ${theme.font}`, textAlign: "left", textBaseline: "middle" });
    rows.forEach(([colour, text], k) => {
      const [p, q] = [at.left + 12, at.top + 16 + 20 * k];
      context.fillStyle = colour;
      context.fillRect(p, q - 6, 14, 12);
      context.fillStyle = theme.ink(0.9);
      context.fillText(text, p + 20, q);
    });
  },
};
