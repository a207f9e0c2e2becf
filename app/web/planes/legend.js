// The legend of a pane: what has a name, as a button that hides it and shows it again.

import { drawSwatch, SWATCH } from "../canvas/swatch.js";
import { part } from "./planes.js";

/** @import { Layer, Theme } from "../canvas/types.js" */
/** @import { Mark } from "./types.js" */

/**
 * Bring a list up to date with the marks that have names; those in `hidden` are crossed out.
 *
 * @param {HTMLElement} list
 * @param {Mark[]} marks
 * @param {Set<string>} hidden
 * @param {Theme} theme
 * @param {(label: string) => void} toggled
 */
export function showLegend(list, marks, hidden, theme, toggled) {
  const named = marks.filter(({ label }) => label);
  /** @param {Layer} layer */
  const lookOfLayer = (layer) => ["colour", "dash", "marker"].map((name) => Reflect.get(layer, name));
  const told = JSON.stringify(named.map(({ label, layers }) => [label, layers.map(lookOfLayer)]));
  if (list.dataset.told !== told) { // rebuilt only then: the one that has the focus keeps it
    list.dataset.told = told;
    list.replaceChildren(...named.map((mark) => entryOf(mark, theme, toggled)));
  }
  for (const button of list.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(!hidden.has(button.textContent ?? "")));
  }
}

/**
 * @param {Mark} mark
 * @param {Theme} theme
 * @param {(label: string) => void} toggled
 */
function entryOf({ label, layers }, theme, toggled) {
  const [item, button] = [part("li", ""), part("button", "")];
  Object.assign(button, { type: "button", ariaLabel: `${label}: hide or show` });
  button.append(swatchOf(layers, theme), label);
  button.addEventListener("click", () => toggled(label));
  item.append(button);
  return item;
}

/**
 * A piece of line or a marker, drawn as in the pane.
 *
 * @param {Layer[]} layers
 * @param {Theme} theme
 */
function swatchOf(layers, theme) {
  const [width, height] = SWATCH;
  const dense = window.devicePixelRatio || 1;
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: width * dense, height: height * dense, ariaHidden: "true" });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const pen = canvas.getContext("2d");
  if (pen) {
    pen.scale(dense, dense);
    drawSwatch(pen, layers, theme, dense);
  }
  return canvas;
}
