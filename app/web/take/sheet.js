// A sheet of white paper with a figure: its panels in rows as on the page, each with title, note and legend, and below
// them a caption with the address at which the figure is found again.
//
// A figure is {name: of its file, title, columns, panels, caption, tables}. A panel is {title, note, alt, width,
// height, legend: [{label, draw(pen, theme)}], draw(pen, theme, dense)} and draws in a box of its size at the pen's
// origin.

import { contextOf, penOf } from "../canvas/page.js";
import { SWATCH } from "../canvas/swatch.js";
import { VectorPen } from "./vector.js";

/** @import { Figure, LegendEntry, Panel, Pen, Theme } from "../canvas/types.js" */

/**
 * Texts of this size in pixels, in lines so far apart.
 * @typedef {{ size: number, line: number, weight?: number }} Style
 */

/**
 * Where an entry of a legend stands.
 * @typedef {{ entry: LegendEntry, x: number, row: number }} Placed
 */

/**
 * A panel with its texts in lines, and the pixels that these need above and below it.
 * @typedef {{ panel: Panel, title: string[], note: string[], legend: Placed[], above: number, below: number
 *   }} Measured
 */

/**
 * Everything with its place; `plot` is the height at which the panel's own drawing begins.
 * @typedef {{ width: number, height: number, rows: (Measured & { x: number, y: number, plot: number })[],
 *   caption: { lines: string[], style: Style, at: number }[] }} Sheet
 */

const [EDGE, APART_PANELS] = [18, 22];
/** @type {[Style, Style]} */
const [HEAD, BODY] = [{ size: 15, line: 21, weight: 600 }, { size: 13, line: 18 }];
/** @type {[Style, Style]} */
export const [SMALL, TINY] = [{ size: 12, line: 16 }, { size: 9, line: 12 }];
const DENSE = 2; // pixels of a PNG for one of the page
const [ENTRY_GAP, ENTRY_LINE, SWATCH_GAP] = [14, 20, 6];
const LEAST_SHEET = 420;
export const EVERYWHERE = "Arial, Helvetica, sans-serif";

/** @type {(style: Style, theme: { font: string }) => string} */
const fontOf = ({ size, weight }, theme) => `${weight ? `${weight} ` : ""}${size}px ${theme.font}`;

/**
 * A text in lines of at most this width, broken at spaces, and within a word only where it is longer than a line.
 * @type {(pen: Pen, text: string, width: number) => string[]}
 */
export function wrapped(pen, text, width) {
  /** @type {string[]} */
  const lines = [];
  let line = "";
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const longer = line ? `${line} ${word}` : word;
    if (pen.measureText(longer).width <= width) {
      line = longer;
      continue;
    }
    if (line) lines.push(line);
    line = "";
    for (const sign of word) {
      if (line && pen.measureText(line + sign).width > width) {
        lines.push(line);
        line = "";
      }
      line += sign;
    }
  }
  return line ? [...lines, line] : lines;
}

/**
 * Where the entries of a legend stand, in rows of at most this width.
 * @type {(pen: Pen, entries: LegendEntry[], width: number) => Placed[]}
 */
function legendRows(pen, entries, width) {
  let [x, row] = [0, 0];
  return entries.map((entry) => {
    const wide = SWATCH[0] + SWATCH_GAP + pen.measureText(entry.label).width;
    if (x && x + wide > width) [x, row] = [0, row + 1];
    const place = { entry, x, row };
    x += wide + ENTRY_GAP;
    return place;
  });
}

/**
 * What one panel needs: its texts in lines, and its height in all.
 * @type {(pen: Pen, panel: Panel, theme: Theme) => Measured}
 */
function measured(pen, panel, theme) {
  pen.font = fontOf(HEAD, theme);
  const title = wrapped(pen, panel.title ?? "", panel.width);
  pen.font = fontOf(BODY, theme);
  const note = wrapped(pen, panel.note ?? "", panel.width);
  const legend = legendRows(pen, panel.legend ?? [], panel.width);
  const rows = (legend.at(-1)?.row ?? -1) + 1;
  return {
    panel,
    title,
    note,
    legend,
    above: title.length * HEAD.line + note.length * BODY.line,
    below: rows * ENTRY_LINE,
  };
}

/**
 * Everything with its place: {width, height, rows, caption}.
 * @type {(pen: Pen, figure: Figure, theme: Theme) => Sheet}
 */
export function laidOut(pen, figure, theme) {
  const { panels, columns } = figure;
  /** @type {Measured[][]} */
  const rows = [];
  panels.forEach((panel, k) => {
    if (k % columns === 0) rows.push([]);
    rows[rows.length - 1].push(measured(pen, panel, theme));
  });
  const wide = rows.map((row) => row.reduce((sum, { panel }) => sum + panel.width + APART_PANELS, -APART_PANELS));
  const inner = Math.max(LEAST_SHEET, ...wide);
  /** @type {Sheet["rows"]} */
  const placed = [];
  let y = EDGE;
  for (const row of rows) {
    const above = Math.max(...row.map((one) => one.above));
    let x = EDGE;
    for (const one of row) {
      placed.push({ ...one, x, y, plot: y + above });
      x += one.panel.width + APART_PANELS;
    }
    y += above + Math.max(...row.map((one) => one.panel.height + one.below)) + 14;
  }
  const texts = [
    ...(figure.caption ?? []).map((text) => ({ text, style: SMALL })),
    { text: location.href, style: TINY },
  ];
  const caption = texts.map(({ text, style }) => {
    pen.font = fontOf(style, theme);
    const lines = wrapped(pen, text, inner);
    const at = y;
    y += lines.length * style.line + 2;
    return { lines, style, at };
  });
  return { width: inner + 2 * EDGE, height: y + EDGE - 2, rows: placed, caption };
}

/**
 * @type {(pen: Pen, lines: string[], x: number, y: number, style: { font: string, line: number }, ink: string) =>
 *   void}
 */
function writeLines(pen, lines, x, y, style, ink) {
  lines.forEach((line, k) => {
    Object.assign(pen, { font: style.font, fillStyle: ink, textAlign: "left", textBaseline: "top" });
    pen.fillText(line, x, y + k * style.line);
  });
}

/** @type {(pen: Pen, laid: Sheet, theme: Theme, dense: number) => void} */
export function drawSheet(pen, laid, theme, dense) {
  pen.fillStyle = theme.paper;
  pen.fillRect(0, 0, laid.width, laid.height);
  /** @type {(style: Style) => Style & { font: string }} */
  const of = (style) => ({ ...style, font: fontOf(style, theme) });
  for (const { panel, title, note, legend, x, y, plot } of laid.rows) {
    writeLines(pen, title, x, y, of(HEAD), theme.ink(1));
    writeLines(pen, note, x, y + title.length * HEAD.line, of(BODY), theme.ink(0.75));
    pen.save();
    pen.translate(x, plot);
    panel.draw(pen, theme, dense);
    pen.restore();
    for (const { entry, x: across, row } of legend) {
      pen.save();
      pen.translate(x + across, plot + panel.height + row * ENTRY_LINE + 4);
      entry.draw(pen, theme, dense);
      Object.assign(pen, {
        font: fontOf(BODY, theme),
        fillStyle: theme.ink(0.95),
        textAlign: "left",
        textBaseline: "middle",
      });
      pen.fillText(entry.label, SWATCH[0] + SWATCH_GAP, SWATCH[1] / 2);
      pen.restore();
    }
  }
  for (const { lines, style, at } of laid.caption) writeLines(pen, lines, EDGE, at, of(style), theme.ink(0.75));
}

/**
 * The figure as a PNG, twice as dense as the page.
 * @type {(figure: Figure, theme: Theme) => Promise<Blob>}
 */
export async function pngOf(figure, theme) {
  await figure.prepare?.();
  const canvas = document.createElement("canvas");
  const laid = laidOut(contextOf(canvas), figure, theme);
  drawSheet(penOf(canvas, laid.width, laid.height, DENSE), laid, theme, DENSE);
  return new Promise((done, fail) => {
    canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("the picture is too large."))), "image/png");
  });
}

/**
 * The figure as SVG, in a font that whoever opens it has: the page's own is not in the file.
 * @type {(figure: Figure, theme: Theme) => Blob}
 */
export function svgOf(figure, theme) {
  const pen = new VectorPen();
  const plain = { ...theme, font: EVERYWHERE };
  const laid = laidOut(pen, figure, plain);
  drawSheet(pen, laid, plain, DENSE);
  const told = figure.panels.map(({ title, alt }) => [title, alt].filter(Boolean).join(": ")).join("\n");
  const text = pen.svg(laid.width, laid.height, figure.title, `${told}\n${location.href}`);
  return new Blob([text], { type: "image/svg+xml" });
}
