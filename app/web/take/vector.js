// A pen that writes SVG: what the pictures here ask of a canvas's 2-D context, with the same names. Lines, areas and
// texts stay such; what is a picture of pixels, as a density, is embedded as one.

import { contextOf } from "../canvas/page.js";

/** @typedef {string | number} Value */


/** @type {Record<CanvasTextAlign, string>} */
const ANCHORS = { left: "start", start: "start", center: "middle", right: "end", end: "end" };
/** @type {Record<string, number>} */
const LOWERED = { top: 0.86, middle: 0.34, bottom: -0.22, alphabetic: 0 }; // baseline below a text's place, in its size
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;
/** @type {Record<string, string>} */
const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** @type {(text: Value) => string} */
const xml = (text) => String(text).replace(NOT_XML, "").replace(/[&<>"]/g, (sign) => ESCAPES[sign]);
/** @type {(value: number) => number} */
const short = (value) => Number(value.toFixed(2));
/** @type {(values: Record<string, Value | null>) => string} */
const attributes = (values) =>
  Object.entries(values)
    .map(([name, value]) => (value === null ? "" : ` ${name}="${xml(value)}"`))
    .join("");

/** @type {CanvasRenderingContext2D | null} */
let reader = null;

/** What reads colours and measures texts, as pictures on the page do. */
function readerOf() {
  reader ??= contextOf(document.createElement("canvas"));
  return reader;
}

/**
 * [colour, opacity] of any CSS colour: programs for drawing know no transparent colours.
 * @type {(colour: string) => [string, number]}
 */
export function inked(colour) {
  const pen = readerOf();
  pen.fillStyle = colour;
  const read = String(pen.fillStyle);
  const parts = read.match(/^rgba\((\d+), (\d+), (\d+), ([\d.e-]+)\)$/);
  return parts ? [`rgb(${parts[1]},${parts[2]},${parts[3]})`, Number(parts[4])] : [read, 1];
}

export class VectorPen {
  isVector = true;
  fillStyle = "#000";
  strokeStyle = "#000";
  lineWidth = 1;
  font = "10px sans-serif";
  /** @type {CanvasTextAlign} */
  textAlign = "start";
  /** @type {CanvasTextBaseline} */
  textBaseline = "alphabetic";
  /** @type {CanvasLineJoin} */
  lineJoin = "miter";
  globalAlpha = 1;
  imageSmoothingEnabled = true;
  /** @type {number[]} */
  dash = [];
  /** @type {number[]} */
  matrix = [1, 0, 0, 1, 0, 0];
  clipped = ""; // the name of what cuts, where something does
  way = "";
  /** @type {Partial<VectorPen>[]} */
  saved = [];
  /** @type {string[]} */
  parts = [];
  clips = 0;
  within = ""; // the name of what cuts the group that is open

  save() {
    const { fillStyle, strokeStyle, lineWidth, font, textAlign, textBaseline, lineJoin } = this;
    const { globalAlpha, imageSmoothingEnabled, dash, matrix, clipped } = this;
    this.saved.push({
      fillStyle, strokeStyle, lineWidth, font, textAlign, textBaseline, lineJoin,
      globalAlpha, imageSmoothingEnabled, dash, matrix, clipped,
    });
  }
  restore() { Object.assign(this, this.saved.pop()); }
  /** @param {Iterable<number>} dash */
  setLineDash(dash) { this.dash = [...dash]; }
  clearRect() {} // the sheet is blank

  /**
   * @param {number} a
   * @param {number} b
   * @param {number} c
   * @param {number} d
   * @param {number} e
   * @param {number} f
   */
  transform(a, b, c, d, e, f) {
    const [A, B, C, D, E, F] = this.matrix;
    this.matrix = [A * a + C * b, B * a + D * b, A * c + C * d, B * c + D * d, A * e + C * f + E, B * e + D * f + F];
  }
  /**
   * @param {number} x
   * @param {number} y
   */
  translate(x, y) { this.transform(1, 0, 0, 1, x, y); }
  /**
   * @param {number} x
   * @param {number} y
   */
  scale(x, y) { this.transform(x, 0, 0, y, 0, 0); }
  /**
   * @param {number} angle
   */
  rotate(angle) {
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    this.transform(cos, sin, -sin, cos, 0, 0);
  }

  beginPath() { this.way = ""; }
  closePath() { this.way += "Z"; }
  /**
   * @param {number} x
   * @param {number} y
   */
  moveTo(x, y) { this.way += `M${short(x)} ${short(y)}`; }
  /**
   * @param {number} x
   * @param {number} y
   */
  lineTo(x, y) { this.way += `${this.way ? "L" : "M"}${short(x)} ${short(y)}`; }
  /**
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height
   */
  rect(x, y, width, height) {
    this.way += `M${short(x)} ${short(y)}h${short(width)}v${short(height)}h${short(-width)}Z`;
  }
  /**
   * @param {number} x
   * @param {number} y
   * @param {number} radius
   * @param {number} from
   * @param {number} to
   */
  arc(x, y, radius, from, to) { this.ellipse(x, y, radius, radius, 0, from, to); }

  /**
   * Against no clock, and without a turn of its axes: nothing here asks for either.
   * @param {number} x
   * @param {number} y
   * @param {number} rx
   * @param {number} ry
   * @param {number} _
   * @param {number} from
   * @param {number} to
   */
  ellipse(x, y, rx, ry, _, from, to) {
    /** @type {(angle: number) => string} */
    const place = (angle) => `${short(x + rx * Math.cos(angle))} ${short(y + ry * Math.sin(angle))}`;
    const radii = `A${short(rx)} ${short(ry)} 0`;
    this.way += `${this.way ? "L" : "M"}${place(from)}`;
    if (to - from >= 2 * Math.PI - 1e-6) this.way += `${radii} 1 1 ${place(from + Math.PI)}${radii} 1 1 ${place(from)}`;
    else this.way += `${radii} ${to - from > Math.PI ? 1 : 0} 1 ${place(to)}`;
  }

  clip() {
    const id = `clip${++this.clips}`;
    const outer = this.clipped ? `url(#${this.clipped})` : null;
    const path = `<path${attributes({ d: this.way, transform: this.moved() })}/>`;
    this.leave();
    this.parts.push(`<clipPath${attributes({ id, "clip-path": outer })}>${path}</clipPath>`);
    this.clipped = id;
  }

  moved() {
    const isStill = this.matrix.every((value, k) => value === (k === 0 || k === 3 ? 1 : 0));
    return isStill ? null : `matrix(${this.matrix.map((value) => Number(value.toFixed(4))).join(" ")})`;
  }

  leave() {
    if (this.within) this.parts.push("</g>");
    this.within = "";
  }

  /**
   * One element, in a group of all that the same clip cuts.
   * @param {string} tag
   * @param {Record<string, Value | null>} values
   * @param {string} [content]
   */
  put(tag, values, content = "") {
    if (this.clipped !== this.within) {
      this.leave();
      if (this.clipped) this.parts.push(`<g clip-path="url(#${this.clipped})">`);
      this.within = this.clipped;
    }
    const all = attributes({ ...values, transform: this.moved() });
    this.parts.push(content ? `<${tag}${all}>${content}</${tag}>` : `<${tag}${all}/>`);
  }

  filled() {
    const [fill, opacity] = inked(this.fillStyle);
    const all = opacity * this.globalAlpha;
    return { fill, "fill-opacity": all < 1 ? short(all) : null };
  }

  stroked() {
    const [stroke, opacity] = inked(this.strokeStyle);
    const all = opacity * this.globalAlpha;
    return {
      fill: "none", stroke, "stroke-width": short(this.lineWidth), "stroke-opacity": all < 1 ? short(all) : null,
      "stroke-dasharray": this.dash.length ? this.dash.join(" ") : null,
      "stroke-linejoin": this.lineJoin === "miter" ? null : this.lineJoin,
    };
  }

  fill() { if (this.way) this.put("path", { d: this.way, ...this.filled() }); }
  stroke() { if (this.way) this.put("path", { d: this.way, ...this.stroked() }); }
  /**
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height
   */
  fillRect(x, y, width, height) { this.put("rect", { ...box(x, y, width, height), ...this.filled() }); }
  /**
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height
   */
  strokeRect(x, y, width, height) { this.put("rect", { ...box(x, y, width, height), ...this.stroked() }); }

  /**
   * @param {string} text
   */
  measureText(text) {
    const pen = readerOf();
    pen.font = this.font;
    return pen.measureText(text);
  }

  /**
   * @param {string} text
   * @param {number} x
   * @param {number} y
   * @param {Record<string, Value | null>} look
   */
  written(text, x, y, look) {
    const [, weight, pixels, family] = this.font.match(/^(?:(\d+) )?([\d.]+)px (.+)$/) ?? [];
    const size = Number(pixels);
    this.put("text", {
      x: short(x), y: short(y + LOWERED[this.textBaseline] * size), "font-family": family, "font-size": size,
      "font-weight": weight ?? null, "text-anchor": ANCHORS[this.textAlign], ...look,
    }, xml(text));
  }
  /**
   * @param {string} text
   * @param {number} x
   * @param {number} y
   */
  fillText(text, x, y) { this.written(text, x, y, this.filled()); }
  /**
   * @param {string} text
   * @param {number} x
   * @param {number} y
   */
  strokeText(text, x, y) { this.written(text, x, y, { ...this.stroked(), "aria-hidden": "true" }); }

  /**
   * @param {CanvasImageSource} image
   * @param {number} x
   * @param {number} y
   * @param {number} [width]
   * @param {number} [height]
   */
  drawImage(image, x, y, width, height) {
    if (!(image instanceof HTMLCanvasElement)) throw new TypeError("a picture within a picture is a canvas");
    this.put("image", {
      ...box(x, y, width ?? image.width, height ?? image.height),
      href: image.toDataURL("image/png"),
      preserveAspectRatio: "none",
      style: this.imageSmoothingEnabled ? null : "image-rendering:pixelated",
    });
  }

  /**
   * An SVG that something else has drawn, at the pen's origin.
   * @param {string} svg
   */
  embed(svg) { this.put("g", {}, svg); }

  /**
   * All that was drawn, as a file; `title` and `told` are for those who hear it.
   * @param {number} width
   * @param {number} height
   * @param {string} title
   * @param {string} told
   */
  svg(width, height, title, told) {
    this.clipped = "";
    this.leave();
    const size = { width: short(width), height: short(height), viewBox: `0 0 ${short(width)} ${short(height)}` };
    return [
      '<?xml version="1.0" encoding="UTF-8"?>',
      `<svg${attributes({ xmlns: "http://www.w3.org/2000/svg", ...size, role: "img" })}>`,
      `<title>${xml(title)}</title>`, `<desc>${xml(told)}</desc>`, ...this.parts, "</svg>", "",
    ].join("\n");
  }
}

/** @type {(x: number, y: number, width: number, height: number) => Record<string, number>} */
function box(x, y, width, height) {
  return { x: short(x), y: short(y), width: short(width), height: short(height) };
}
