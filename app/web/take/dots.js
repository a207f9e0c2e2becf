// Rows of dots on one axis, which the page draws as HTML (`app/features/paper/picture.py`), as a figure of a sheet.

import { wrapped } from "./sheet.js";

/** @import { Figure, Pen, Theme } from "../canvas/types.js" */

/**
 * Where the marks of a row stand, as shares of the track.
 * @typedef {{ name: string, dots: number[], bars: number[], dashed: number[] }} DotsRow
 */

/** @typedef {{ rows: DotsRow[], low: string, axis: string, high: string, note: string }} Dots */

const [DOTS_NAMES, DOTS_TRACK, DOTS_APART, DOTS_ROW, DOTS_AXIS] = [150, 380, 10, 28, 40]; // pixels
const [DOTS_LINE, DOTS_RADIUS, DOTS_MARKER] = [14, 5, "#0072B2"];
const DOTS_DASHED = "#D55E00";
const BAR_WITHIN = [0.15, 0.85]; // of a row

/**
 * Where marks of a kind stand on the track of a row, as shares of its width.
 * @type {(row: Element, kind: string) => number[]}
 */
const sharesOf = (row, kind) =>
  [...row.querySelectorAll(`.dots-track ${kind}`)].map((one) =>
    parseFloat(/** @type {HTMLElement} */ (one).style.left) / 100);

/**
 * What is read of the page: rows with their marks, and the words of the axis.
 * @type {(element: Element) => Dots}
 */
function readDots(element) {
  const [low, axis, high] = [...element.querySelectorAll(".dots-axis > *")].map((one) => one.textContent);
  const rows = [...element.querySelectorAll(".dots-row")].map((row) => ({
    name: row.firstElementChild?.textContent ?? "",
    dots: sharesOf(row, "i"),
    bars: sharesOf(row, "u"),
    dashed: sharesOf(row, "s"),
  }));
  return { rows, low, axis, high, note: element.querySelector(".dots-note")?.textContent ?? "" };
}

/** @type {(pen: Pen, x: number, from: number, to: number, colour: string, dash?: number[]) => void} */
function strokeUpright(pen, x, from, to, colour, dash = []) {
  Object.assign(pen, { strokeStyle: colour, lineWidth: 2 });
  pen.setLineDash(dash);
  pen.beginPath();
  pen.moveTo(x, from);
  pen.lineTo(x, to);
  pen.stroke();
  pen.setLineDash([]);
}

/** @type {(pen: Pen, row: DotsRow, top: number, theme: Theme) => void} */
function drawDotsRow(pen, row, top, theme) {
  const [left, middle, bottom] = [DOTS_NAMES + DOTS_APART, top + DOTS_ROW / 2, top + DOTS_ROW];
  /** @type {(share: number) => number} */
  const at = (share) => left + share * DOTS_TRACK;
  Object.assign(pen, {
    font: `12px ${theme.font}`,
    fillStyle: theme.ink(0.95),
    textAlign: "left",
    textBaseline: "middle",
  });
  const lines = wrapped(pen, row.name, DOTS_NAMES);
  lines.forEach((line, k) => pen.fillText(line, 0, middle + (k - (lines.length - 1) / 2) * DOTS_LINE));
  Object.assign(pen, { strokeStyle: theme.ink(0.3), lineWidth: 1 });
  pen.beginPath();
  pen.moveTo(left, bottom);
  pen.lineTo(left + DOTS_TRACK, bottom);
  pen.stroke();
  pen.save();
  Object.assign(pen, { fillStyle: DOTS_MARKER, globalAlpha: 0.8 });
  for (const share of row.dots) {
    pen.beginPath();
    pen.arc(at(share), middle, DOTS_RADIUS, 0, 2 * Math.PI);
    pen.fill();
  }
  pen.restore();
  for (const share of row.bars)
    strokeUpright(pen, at(share), top + BAR_WITHIN[0] * DOTS_ROW, top + BAR_WITHIN[1] * DOTS_ROW, theme.ink(0.95));
  for (const share of row.dashed) strokeUpright(pen, at(share), top, bottom, DOTS_DASHED, [5, 3]);
}

/**
 * The ends of the axis below the rows, and between them its name and unit.
 * @type {(pen: Pen, axis: Dots, top: number, theme: Theme) => void}
 */
function drawDotsAxis(pen, { low, axis, high }, top, theme) {
  const left = DOTS_NAMES + DOTS_APART;
  Object.assign(pen, { font: `12px ${theme.font}`, fillStyle: theme.ink(0.95), textBaseline: "top" });
  const ends = Math.max(pen.measureText(low).width, pen.measureText(high).width) + DOTS_APART;
  pen.textAlign = "left";
  pen.fillText(low, left, top);
  pen.textAlign = "right";
  pen.fillText(high, left + DOTS_TRACK, top);
  pen.textAlign = "center";
  wrapped(pen, axis, DOTS_TRACK - 2 * ends).forEach((line, k) =>
    pen.fillText(line, left + DOTS_TRACK / 2, top + k * DOTS_LINE),
  );
}

/**
 * The rows of dots within the element of this class, or null.
 * @type {(name: string, title: string) => Figure | null}
 */
export function figureOfDots(name, title) {
  const element = document.querySelector(`.${CSS.escape(name)} .dots`);
  if (!element) return null;
  const found = readDots(element);
  const below = found.rows.length * DOTS_ROW;
  return {
    name: title, title, columns: 1, caption: [found.note], tables: [],
    panels: [{
      title, note: "", alt: element.getAttribute("aria-label") ?? "",
      width: DOTS_NAMES + DOTS_APART + DOTS_TRACK, height: below + DOTS_AXIS,
      draw(pen, theme) {
        found.rows.forEach((row, k) => drawDotsRow(pen, row, k * DOTS_ROW, theme));
        drawDotsAxis(pen, found, below + 4, theme);
      },
    }],
  };
}
