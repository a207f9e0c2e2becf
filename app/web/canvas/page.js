// The page that pictures stand on: its colours, its pixels, and whether its reader wants motion.

import { rgb } from "./colours.js";

/** @import { Theme } from "./types.js" */

/**
 * The page's colours, font and size of text, light or dark: `ink` is its text colour at an opacity.
 * @type {(root: Element) => Theme}
 */
export function pageTheme(root) {
  const style = getComputedStyle(root);
  const [text, paper] = ["text", "background"].map((name) => rgb(style.getPropertyValue(`--st-${name}-color`).trim()));
  return {
    ink: (alpha) => `rgba(${text.join()},${alpha})`,
    paper: `rgb(${paper.join()})`,
    halo: `rgba(${paper.join()},0.78)`, // behind what stands within a picture
    dark: paper[0] + paper[1] + paper[2] < 384,
    font: style.fontFamily,
    scale: Number(style.getPropertyValue("--canvas-scale")) || 1, // of all that is drawn: larger, for who sits far away
  };
}

const DARK_INK = [32, 33, 41];

/**
 * As `pageTheme`, for a sheet of white paper, whatever the page's colours are.
 * @type {(root: Element) => Theme}
 */
export function paperTheme(root) {
  return {
    ink: (alpha) => `rgba(${DARK_INK.join()},${alpha})`, paper: "rgb(255,255,255)", halo: "rgba(255,255,255,0.78)",
    dark: false, font: getComputedStyle(root).fontFamily, scale: 1,
  };
}

/**
 * What draws on a canvas. Raises Error where the browser has no more memory for one.
 * @type {(canvas: HTMLCanvasElement) => CanvasRenderingContext2D}
 */
export function contextOf(canvas) {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser has no room for another picture. Close some pages.");
  return context;
}

/**
 * The pen of a canvas that has nothing on it, in the pixels of a page: `dense` of the screen's are one.
 * @type {(canvas: HTMLCanvasElement, width: number, height: number, dense: number) => CanvasRenderingContext2D}
 */
export function penOf(canvas, width, height, dense) {
  const size = [Math.round(width * dense), Math.round(height * dense)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const pen = contextOf(canvas);
  pen.setTransform(dense, 0, 0, dense, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

/** Whether nothing should move by itself. */
export const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
