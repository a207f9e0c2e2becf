// Data sets to choose from, each by a picture of its points. A click or Enter chooses; arrow keys only move, because
// every choice begins a new run. The page says which one is chosen.

import { partOf } from "../part.js";

/** @import { Call } from "../types.js" */

/** @typedef {{ key: string, title: string, points: string | null, sign: string }} Tile */

/** @typedef {{ title: string, tiles: Tile[] }} Group */

/**
 * `json` is that of the groups that are shown.
 * @typedef {{ json: string, choose: (key: string) => void }} View
 */

/** @type {Record<string, string>} */
const SIGNS = {
  plus: "M128 72v112M72 128h112",
  pencil: "M66 190l16-56L158 58a18 18 0 0 1 26 0l14 14a18 18 0 0 1 0 26L122 174zM140 76l40 40",
};
/** @type {Record<string, number>} */
const MOVES = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
/** @type {WeakMap<Element, View>} */
const views = new WeakMap(); // by their roots

/**
 * One dot for each pair of bytes, y upwards.
 * @type {(base64: string) => string}
 */
function dots(base64) {
  const bytes = atob(base64);
  let path = "";
  for (let i = 0; i < bytes.length; i += 2) path += `M${bytes.charCodeAt(i)} ${255 - bytes.charCodeAt(i + 1)}h0`;
  return path;
}

/** @type {(tag: string, className?: string, text?: string) => HTMLElement} */
function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** @type {(of: Tile) => HTMLButtonElement} */
function tile({ key, title, points, sign }) {
  const button = document.createElement("button");
  button.type = "button";
  Object.assign(button.dataset, { key, title });
  button.title = title;
  button.setAttribute("role", "radio");
  button.setAttribute("aria-label", title);
  button.innerHTML = '<svg viewBox="-6 -6 268 268" aria-hidden="true"><path/></svg>';
  button.firstElementChild?.classList.toggle("sign", !points);
  button.querySelector("path")?.setAttribute("d", points ? dots(points) : SIGNS[sign]);
  return button;
}

/** @type {(root: HTMLElement, groups: Group[]) => void} */
function build(root, groups) {
  partOf(root, ".groups").replaceChildren(...groups.map(({ title, tiles }) => {
    const group = element("div", "group");
    const row = element("div", "tiles");
    row.append(...tiles.map(tile));
    group.append(element("div", "caption", title), row);
    return group;
  }));
}

/** @type {(root: HTMLElement, button: HTMLElement | null | undefined, passing: boolean) => void} */
function say(root, button, passing) {
  const name = partOf(root, ".name");
  name.textContent = button?.dataset.title ?? "";
  name.classList.toggle("passing", passing);
}

/** @type {(root: HTMLElement, key: string) => void} */
function mark(root, key) {
  const buttons = [...root.querySelectorAll("button")];
  const chosen = buttons.find((button) => button.dataset.key === key);
  for (const button of buttons) {
    button.setAttribute("aria-checked", String(button === chosen));
    button.tabIndex = button === (chosen ?? buttons[0]) ? 0 : -1;
  }
  say(root, chosen, false);
}

/** @type {(root: HTMLElement, view: View) => void} */
function listen(root, view) {
  /** @type {() => HTMLElement | null} */
  const chosen = () => root.querySelector("[aria-checked=true]");
  /** @type {(event: Event) => HTMLButtonElement | null} */
  const buttonOf = ({ target }) => (target instanceof Element ? target.closest("button") : null);
  const groups = partOf(root, ".groups");
  groups.addEventListener("click", (event) => {
    const button = buttonOf(event);
    const key = button?.dataset.key;
    if (!key || button === chosen()) return;
    mark(root, key);
    view.choose(key);
  });
  groups.addEventListener("keydown", (event) => {
    const buttons = [...root.querySelectorAll("button")];
    const button = buttonOf(event);
    const here = button ? buttons.indexOf(button) : -1;
    if (!(event.key in MOVES) || here < 0) return;
    event.preventDefault();
    buttons[(here + MOVES[event.key] + buttons.length) % buttons.length].focus();
  });
  for (const enter of ["pointerover", "focusin"]) {
    groups.addEventListener(enter, (event) => {
      const button = buttonOf(event);
      if (button) say(root, button, button !== chosen());
    });
  }
  for (const leave of ["pointerleave", "focusout"]) groups.addEventListener(leave, () => say(root, chosen(), false));
}

/** @type {(call: Call<{ groups: Group[], chosen: string }>) => void} */
export default function ({ data, parentElement, setTriggerValue }) {
  const root = partOf(parentElement, ".picker");
  const json = JSON.stringify(data.groups);
  const view = views.get(root) ?? { json: "", choose: () => {} };
  view.choose = (key) => setTriggerValue("picked", key);
  if (view.json !== json) build(root, data.groups);
  if (!views.has(root)) listen(root, view);
  view.json = json;
  views.set(root, view);
  mark(root, data.chosen);
}
