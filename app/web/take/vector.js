// A pen that writes SVG: what the pictures here ask of a canvas's 2-D context, with the same names. Lines, areas and
// texts stay such; what is a picture of pixels, as a density, is embedded as one.

const KEPT = ["fillStyle", "strokeStyle", "lineWidth", "font", "textAlign", "textBaseline", "lineJoin", "globalAlpha",
  "imageSmoothingEnabled", "dash", "matrix", "clipped"];
const ANCHORS = { left: "start", start: "start", center: "middle", right: "end", end: "end" };
const LOWERED = { top: 0.86, middle: 0.34, bottom: -0.22, alphabetic: 0 }; // baseline below a text's place, in its size
const reader = document.createElement("canvas").getContext("2d");
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;
const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

const xml = (text) => String(text).replace(NOT_XML, "").replace(/[&<>"]/g, (sign) => ESCAPES[sign]);
const short = (value) => Number(value.toFixed(2));
const attributes = (values) =>
  Object.entries(values)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => ` ${name}="${xml(value)}"`)
    .join("");

/** [colour, opacity] of any CSS colour: programs for drawing know no transparent colours. */
export function inked(colour) {
  reader.fillStyle = colour;
  const parts = reader.fillStyle.match(/^rgba\((\d+), (\d+), (\d+), ([\d.e-]+)\)$/);
  return parts ? [`rgb(${parts[1]},${parts[2]},${parts[3]})`, Number(parts[4])] : [reader.fillStyle, 1];
}

export class VectorPen {
  isVector = true;

  constructor() {
    Object.assign(this, {
      fillStyle: "#000", strokeStyle: "#000", lineWidth: 1, font: "10px sans-serif", textAlign: "start",
      textBaseline: "alphabetic", lineJoin: "miter", globalAlpha: 1, imageSmoothingEnabled: true, dash: [],
      matrix: [1, 0, 0, 1, 0, 0], clipped: null,
    });
    [this.way, this.saved, this.parts, this.clips, this.within] = ["", [], [], 0, null];
  }

  save() { this.saved.push(KEPT.map((name) => this[name])); }
  restore() { this.saved.pop()?.forEach((value, k) => { this[KEPT[k]] = value; }); }
  setLineDash(dash) { this.dash = [...dash]; }
  clearRect() {} // the sheet is blank

  transform(a, b, c, d, e, f) {
    const [A, B, C, D, E, F] = this.matrix;
    this.matrix = [A * a + C * b, B * a + D * b, A * c + C * d, B * c + D * d, A * e + C * f + E, B * e + D * f + F];
  }
  translate(x, y) { this.transform(1, 0, 0, 1, x, y); }
  scale(x, y) { this.transform(x, 0, 0, y, 0, 0); }
  rotate(angle) {
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    this.transform(cos, sin, -sin, cos, 0, 0);
  }

  beginPath() { this.way = ""; }
  closePath() { this.way += "Z"; }
  moveTo(x, y) { this.way += `M${short(x)} ${short(y)}`; }
  lineTo(x, y) { this.way += `${this.way ? "L" : "M"}${short(x)} ${short(y)}`; }
  rect(x, y, width, height) {
    this.way += `M${short(x)} ${short(y)}h${short(width)}v${short(height)}h${short(-width)}Z`;
  }
  arc(x, y, radius, from, to) { this.ellipse(x, y, radius, radius, 0, from, to); }

  /** Against no clock, and without a turn of its axes: nothing here asks for either. */
  ellipse(x, y, rx, ry, _, from, to) {
    const place = (angle) => `${short(x + rx * Math.cos(angle))} ${short(y + ry * Math.sin(angle))}`;
    const radii = `A${short(rx)} ${short(ry)} 0`;
    this.way += `${this.way ? "L" : "M"}${place(from)}`;
    if (to - from >= 2 * Math.PI - 1e-6) this.way += `${radii} 1 1 ${place(from + Math.PI)}${radii} 1 1 ${place(from)}`;
    else this.way += `${radii} ${to - from > Math.PI ? 1 : 0} 1 ${place(to)}`;
  }

  clip() {
    const id = `clip${++this.clips}`;
    const outer = this.clipped && `url(#${this.clipped})`;
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
    this.within = null;
  }

  /** One element, in a group of all that the same clip cuts. */
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
  fillRect(x, y, width, height) { this.put("rect", { ...box(x, y, width, height), ...this.filled() }); }
  strokeRect(x, y, width, height) { this.put("rect", { ...box(x, y, width, height), ...this.stroked() }); }

  measureText(text) {
    reader.font = this.font;
    return reader.measureText(text);
  }

  written(text, x, y, look) {
    const [, weight, size, family] = this.font.match(/^(?:(\d+) )?([\d.]+)px (.+)$/);
    this.put("text", {
      x: short(x), y: short(y + LOWERED[this.textBaseline] * size), "font-family": family, "font-size": size,
      "font-weight": weight ?? null, "text-anchor": ANCHORS[this.textAlign], ...look,
    }, xml(text));
  }
  fillText(text, x, y) { this.written(text, x, y, this.filled()); }
  strokeText(text, x, y) { this.written(text, x, y, { ...this.stroked(), "aria-hidden": "true" }); }

  drawImage(canvas, x, y, width = canvas.width, height = canvas.height) {
    this.put("image", {
      ...box(x, y, width, height), href: canvas.toDataURL("image/png"), preserveAspectRatio: "none",
      style: this.imageSmoothingEnabled ? null : "image-rendering:pixelated",
    });
  }

  /** An SVG that something else has drawn, at the pen's origin. */
  embed(svg) { this.put("g", {}, svg); }

  /** All that was drawn, as a file; `title` and `told` are for those who hear it. */
  svg(width, height, title, told) {
    this.clipped = null;
    this.leave();
    const size = { width: short(width), height: short(height), viewBox: `0 0 ${short(width)} ${short(height)}` };
    return [
      '<?xml version="1.0" encoding="UTF-8"?>',
      `<svg${attributes({ xmlns: "http://www.w3.org/2000/svg", ...size, role: "img" })}>`,
      `<title>${xml(title)}</title>`, `<desc>${xml(told)}</desc>`, ...this.parts, "</svg>", "",
    ].join("\n");
  }
}

function box(x, y, width, height) {
  return { x: short(x), y: short(y), width: short(width), height: short(height) };
}
