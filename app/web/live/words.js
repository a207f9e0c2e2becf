// What stands around the panes as text: the second pane's choices, large numbers, the legend of classes.

import { partOf } from "../part.js";
import { CLASSES } from "./theme.js";
import { readoutsShown } from "./time.js";

/** @import { Theme } from "../canvas/types.js" */
/** @import { Readout, View } from "./types.js" */

/** @typedef {Omit<Readout, "step">} Said a large number as it is shown */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} name
 * @param {string} [text]
 * @param {Record<string, string | number | boolean>} [attributes]
 */
export function element(tag, name, text = "", attributes = {}) {
  const made = Object.assign(document.createElement(tag), { className: name, textContent: text });
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/**
 * Write a text, or an attribute, where it is another one. A text takes the place of another in its node: a new node
 * costs the page 10 ms, since selectors with `:has` are matched anew.
 * @type {(element: Element, text: string) => void}
 */
export function say(element, text) {
  if (element.textContent === text) return;
  const { firstChild: node, childNodes } = element;
  if (text && childNodes.length === 1 && node instanceof Text) node.data = text;
  else element.textContent = text;
}
/** @type {(element: Element, name: string, value: string | number | boolean) => void} */
export function tag(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/**
 * One readout: empty places, filled by `write`. Its note and its help are a tooltip for pointer and keyboard alike.
 * @type {(said: Said) => HTMLElement}
 */
function readout({ name, help }) {
  const id = `live-help-${name}`;
  const attributes = { "data-readout": name, "aria-describedby": id, tabindex: 0, role: "group" };
  const box = element("div", "live-readout", "", attributes);
  for (const part of ["label", "value", "error", "word"]) box.append(element("span", `live-${part}`));
  const tip = element("span", "live-help", "", { role: "tooltip", id });
  tip.append(element("span", "live-note"), ` ${help}`);
  box.append(tip);
  return box;
}

/** @type {(box: Element, said: Said) => void} */
function write(box, { label, value, error, unit, word, note }) {
  const margin = [error && `± ${error}`, unit].filter(Boolean).join(" ");
  const said = note && `${note[0].toUpperCase()}${note.slice(1)}.`;
  const texts = { label, value: value || "–", error: value && margin, word, note: said };
  for (const [part, text] of Object.entries(texts)) say(partOf(box, `.live-${part}`), text ?? "");
  tag(box, "aria-label", [label, value, margin, word, note].filter(Boolean).join(", "));
}

/** @type {HTMLElement | null} */
export let numbers = null; // where large numbers stand: an element of the page's head (`live.readouts`)

/**
 * Let them stand in this element; whether it is another one.
 * @type {(root: HTMLElement) => boolean}
 */
export function placeNumbers(root) {
  const isOther = numbers !== root;
  numbers = root;
  return isOther;
}

/**
 * The step of the picture that is shown: the numbers beside it come later.
 * @type {(view: View) => Said}
 */
export const stepReadout = ({ picture }) => ({
  name: "step", label: "Step", help: "Training steps of the flow that is drawn.",
  value: picture ? picture.step.toLocaleString("en") : "",
});

/** @type {(view: View) => void} */
export function showReadouts(view) {
  const list = numbers;
  if (!list) return;
  const readouts = [stepReadout(view), ...readoutsShown(view)];
  const shown = readouts.map((r) => r.name).join();
  if (list.dataset.readouts !== shown) { // rebuilt only then: the one that has the focus keeps it
    list.dataset.readouts = shown;
    list.replaceChildren(...readouts.map(readout));
  }
  readouts.forEach((r, i) => write(list.children[i], r));
}

/**
 * Of each picture, sooner than the other numbers.
 * @type {(view: View) => void}
 */
export function showStep(view) {
  const box = numbers?.querySelector("[data-readout=step]");
  if (box) write(box, stepReadout(view));
}

/**
 * Where nobody knows the truth the second pane cannot show it, nor a belief where training has none of its own, or the
 * server draws.
 * @type {(view: View) => void}
 */
export function showChoices({ root, scene, shows, newest }) {
  partOf(root, "[data-layer=believed]").hidden = !scene.loss?.held_believed;
  const has = { latent: true, truth: scene.truth, difference: scene.truth, believed: scene.belief && newest?.weights };
  for (const [name, isThere] of Object.entries(has)) {
    const button = partOf(root, `[data-view=${name}]`);
    button.hidden = !isThere;
    button.setAttribute("aria-pressed", String(name === shows));
  }
}

/**
 * What this browser cannot draw, and why.
 * @type {(view: View) => void}
 */
export function showRefusals({ root, layers, picture, refused }) {
  const [samples, all] = [".live-refusal", ".live-plain"].map((one) => partOf(root, one));
  const refusal = layers.data.samples && picture?.refusal;
  samples.hidden = !refusal;
  all.hidden = !refused;
  say(samples, refusal ? `No samples are drawn. ${refusal}` : "");
  say(all, refused ? `The server draws this flow. ${refused}` : "");
}

/** @type {(view: View, theme: Theme) => void} */
export function showClasses(view, theme) {
  const { root, scene: { labels } } = view;
  const legend = partOf(root, ".live-classes");
  legend.hidden = !labels || view.shows !== "latent";
  legend.replaceChildren(...(labels?.names ?? []).map((name, i) => {
    const item = element("li", "", name, { title: name });
    item.prepend(element("b", "", CLASSES[i][2], { style: `color:${CLASSES[i][0] ?? theme.ink(1)}` }));
    return item;
  }));
}
