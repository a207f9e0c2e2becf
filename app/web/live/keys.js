// Keys of the whole page. They are ignored while somebody types, with Ctrl, Alt or Meta, and while a dialog is open;
// what has the focus comes first. Places of keys (`event.code`), so that they are the same on all keyboards.

import { partOf } from "../part.js";
import { lastStage } from "./depth.js";
import { views } from "./element.js";
import { PARTS_KEYS } from "./parts.js";
import { focusPlane, isPresented, once, present, seen, showSecond } from "./present.js";
import { leaveProbe } from "./probe.js";
import { element } from "./words.js";

/** @import { Shows } from "./types.js" */

/**
 * A key of the page, as the list shows it: `codes`, or a `key` where its place differs between keyboards.
 * `isCharacter`: it can be switched off; `repeats`: it may be held down. `act` returns whether it did something.
 * @typedef {{ names: string[], does: string, codes?: string[], key?: string, shift?: boolean, isCharacter?: boolean,
 *   repeats?: boolean, act: (code: string) => boolean }} Key
 */

const LETTERS = "resflow.letters"; // "off" in localStorage: keys that are characters do nothing
/** @type {Record<string, Shows>} */
const VIEWS = { 1: "latent", 2: "truth", 3: "difference", 4: "believed" };

/** @type {Key[]} */
const KEYS = [
  { names: ["Space"], does: "play or pause", codes: ["Space"], act: () => press("play") },
  { names: ["S"], does: "one step", codes: ["KeyS"], isCharacter: true, repeats: true, act: () => press("step") },
  { names: ["Shift S"], does: "one step, slowly: in its parts", codes: ["KeyS"], shift: true, isCharacter: true,
    act: () => press("slowly") },
  { names: ["Backspace"], does: "reset", codes: ["Backspace"], act: () => press("reset") },
  { names: ["Shift Backspace"], does: "undo the reset", codes: ["Backspace"], shift: true,
    act: () => press("undo") },
  { names: ["Page Down"], does: "one block forward, and from z to x", codes: ["PageDown"], repeats: true,
    act: () => goDeeper(1) },
  { names: ["Page Up"], does: "one block back", codes: ["PageUp"], repeats: true, act: () => goDeeper(-1) },
  { names: [".", ","], does: "the same two, with character keys", codes: ["Period", "Comma"], isCharacter: true,
    repeats: true, act: (code) => goDeeper(code === "Period" ? 1 : -1) },
  { names: ["1", "2", "3", "4"], does: "latent space, true density, difference, what training believes",
    isCharacter: true, codes: Object.keys(VIEWS).flatMap((digit) => [`Digit${digit}`, `Numpad${digit}`]),
    act: (code) => chooseView(VIEWS[code.slice(-1)]) },
  { names: ["F"], does: "the presenter's view, and back", codes: ["KeyF"], isCharacter: true,
    act: () => togglePresenter() },
  { names: ["Esc"], does: "remove the pinned point, then leave the presenter's view", codes: ["Escape"],
    act: () => leaveProbe() || leavePresenter() },
  { names: ["?"], does: "this list", key: "?", isCharacter: true, act: () => showKeys() },
];
/** What a plane does itself while it has the focus (`steer.js`). */
const PLANE_KEYS = [
  { names: ["Arrows", "+", "−", "0"], does: "move, zoom or reset the plane that has the focus" },
  { names: ["Enter", "Shift Arrows"], does: "pin a point in that plane, and move it" },
];

/** What the line over the loss does itself while it has the focus (`time.js`). */
const TIME_KEYS = {
  names: ["←", "→", "Home", "End"], does: "back and forth in time, if the line over the loss has the focus",
};

export const TYPING = `input:not([type=range], [type=checkbox], [type=radio], [type=button]), textarea, select,
  [contenteditable]:not([contenteditable=false]), [role=combobox], [role=textbox], [role=searchbox], [role=listbox],
  [role=menu]`;
export const OPEN =
  "dialog[open], [role=dialog], [role=alertdialog], [role=menu], [role=listbox], [data-testid=stPopoverBody]";
const PRESSED_BY_SPACE = `button, summary, input:not([type=range]), [role=button], [role=tab], [role=checkbox],
  [role=radio], [role=switch], [role=option], [role=menuitem]`;
const OTHER_SLIDER = ".stSlider, [role=slider], input[type=range]:not(.live-depth input)";

/** @type {(event: KeyboardEvent) => boolean} */
export const isChord = ({ ctrlKey, metaKey, altKey }) => ctrlKey || metaKey || altKey;

/**
 * Buttons are Streamlit's. A bench with a run of its own has another, `play.NAME`: the first in sight is meant.
 * @type {(name: string) => string[]}
 */
export const buttonsOf = (name) => [`.st-key-${name} button`, `[class*="st-key-${name}-"] button`];

/** @type {(name: string) => boolean} */
export function press(name) {
  const button = seen(buttonsOf(name));
  button?.click();
  return Boolean(button);
}

/**
 * The depth of the picture, by its own slider: from stage to stage, and from z to x again.
 * @type {(by: number) => boolean}
 */
function goDeeper(by) {
  const view = [...views].find(({ root, scene }) => root.isConnected && scene);
  if (!view) return false;
  if (view.shows !== "latent") chooseView("latent");
  const { slider, depth } = view;
  const stages = lastStage(view) + 1;
  slider.value = String(((depth.wanted ?? lastStage(view)) + by + stages) % stages);
  for (const told of ["input", "change"]) slider.dispatchEvent(new Event(told, { bubbles: true }));
  showSecond();
  return true;
}

/** @type {(name: Shows) => boolean} */
export function chooseView(name) {
  /** @type {HTMLElement | null} */
  const button = document.querySelector(`.live-views [data-view=${name}]`);
  if (!button || button.hidden) return false;
  button.click();
  showSecond();
  return true;
}

function togglePresenter() {
  present(!isPresented());
  return true;
}

function leavePresenter() {
  if (!isPresented()) return false;
  present(false);
  return true;
}

let hasLetters = true; // whether keys that are characters work
try {
  hasLetters = localStorage.getItem(LETTERS) !== "off";
} catch { /* a browser that keeps nothing */ }

/** @type {(are: boolean) => void} */
function allowLetters(are) {
  hasLetters = are;
  try {
    localStorage.setItem(LETTERS, are ? "on" : "off");
  } catch { /* it holds until the page is left */ }
}

/**
 * The key of the page that an event is, if it is one.
 * @type {(event: KeyboardEvent) => Key | undefined}
 */
function keyOf(event) {
  return KEYS.find(({ key, codes = [], shift = false, isCharacter }) => {
    if (isCharacter && !hasLetters) return false;
    if (key) return event.key === key;
    return codes.includes(event.code) && (event.shiftKey === shift || event.code.startsWith("Digit")); // French digits
  });
}

/**
 * Whether what has the focus, or is open, takes the key for itself.
 * @type {(event: KeyboardEvent) => boolean}
 */
export function isTaken(event) {
  const at = event.composedPath()[0];
  /** @type {(selector: string) => boolean} */
  const isIn = (selector) => at instanceof Element && Boolean(at.closest(selector));
  if (isIn(TYPING) || seen([OPEN])) return true;
  if (event.code === "Space") return isIn(PRESSED_BY_SPACE);
  return event.code.startsWith("Page") && isIn(OTHER_SLIDER);
}

/** @type {(event: KeyboardEvent) => void} */
function onKey(event) {
  if (event.defaultPrevented || event.isComposing || isChord(event)) return;
  const key = keyOf(event);
  if (!key || (event.repeat && !key.repeats) || isTaken(event)) return;
  if (key.act(event.code)) event.preventDefault();
}

/**
 * After a click of a mouse on a button of the run the focus goes to the picture: Space must not press it again.
 * @type {(event: MouseEvent) => void}
 */
function onMouseClick(event) {
  const buttons = ["play", "step", "steps", "reset"].flatMap(buttonsOf).join();
  const isMouse = event.detail > 0 && event.target instanceof Element && event.target.closest(buttons);
  if (isMouse && !focusPlane()) seen(buttonsOf("play"))?.focus({ preventScroll: true });
}

/** The list of all keys, over the page. */
export function showKeys() {
  const { color, backgroundColor, fontFamily } = getComputedStyle(partOf(document, ".stApp"));
  const dialog = element("dialog", "live-keys", "", { "aria-labelledby": "live-keys-title" });
  Object.assign(dialog.style, { color, backgroundColor, fontFamily });
  const list = element("dl", "");
  for (const { names, does } of [...KEYS, ...PLANE_KEYS, TIME_KEYS, PARTS_KEYS]) {
    const term = element("dt", "");
    term.append(...names.map((name) => element("kbd", "", name)));
    list.append(term, element("dd", "", does));
  }
  const letters = element("input", "", "", { type: "checkbox" });
  letters.checked = hasLetters;
  letters.addEventListener("change", () => allowLetters(letters.checked));
  const label = element("label", "");
  label.append(letters, " Letters, digits and signs work as keys");
  const close = element("button", "", "Close", { type: "button" });
  close.addEventListener("click", () => dialog.close());
  dialog.append(element("h2", "", "Keys", { id: "live-keys-title" }), list, label, close);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return true;
}

export function listenToKeys() {
  once("keys", (signal) => {
    addEventListener("keydown", onKey, { signal });
    addEventListener("click", onMouseClick, { signal });
  });
}
