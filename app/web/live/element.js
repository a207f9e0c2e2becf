// The element: its buttons, its size, its zooms; and what the components of the live picture hand over to it.

import { surfaceIn } from "../canvas/plane.js";
import { partOf, partOfKind } from "../part.js";
import { offer } from "../take/menu.js";
import { askByChannel, closeChannel } from "./channel.js";
import { paint, receive, showWords } from "./clock.js";
import { askForDepth, choose, halt } from "./depth.js";
import { closeEvaluation, goOn, newEvaluation } from "./evaluation.js";
import { dismissHints } from "./hints.js";
import { toldLosses } from "./loss.js";
import { spaceInParts } from "./parts.js";
import { told, truths } from "./planes.js";
import { readPresenter, showPresenter } from "./present.js";
import { newPulse } from "./pulse.js";
import { listenToProbe, onProbeKey, pinAt, showProbe } from "./probe.js";
import { stopReplay } from "./replay.js";
import { steer } from "./steer.js";
import { figureOfLive } from "./taken.js";
import { COLOURS } from "./theme.js";
import { mountTime, newTime } from "./time.js";
import { recallView, rememberView } from "./view.js";
import { placeNumbers, showReadouts, showRefusals } from "./words.js";

/** @import { Window } from "../canvas/types.js" */
/** @import { Hands, HeardTruth, PaneName, Scene, Shows, View } from "./types.js" */

/** @typedef {HTMLElement & { live?: View }} Root the element, which has its view */

const TWO = 700; // pixels of width from which two planes stand side by side
const GAP = 20; // between them; the same as in panes.css
const AROUND = 224; // pixels of a window's height that planes and loss leave to all else
const AROUND_IN_LESSON = 280; // the same beside a lesson, where the numbers have a row of their own
const [LEAST, MOST] = [280, 1000]; // sides of planes
const LOSS_HEIGHT = 136; // height of the loss
const TALL_LOSS = 214; // the same where its curves are what is looked at, and where the page scrolls anyway
const MOST_LOSS = 260; // where planes leave room
/** @type {Set<View>} */
export const views = new Set();
const NO_SCENE = /** @type {Scene} */ (/** @type {unknown} */ (null)); // until the first is received
/** @type {PaneName[]} */
export const PANES = ["data", "latent", "loss"];
/** @type {Shows[]} */
const SECOND = ["latent", "truth", "difference", "believed"];

/**
 * @param {string | undefined} name
 * @returns {name is PaneName}
 */
export const isPane = (name) => PANES.some((one) => one === name);

/**
 * Panes that show one space zoom together.
 * @type {(view: View, name: PaneName) => PaneName | null}
 */
export const spaceOf = (view, name) =>
  view.slow ? spaceInParts(view.slow, name) : name === "latent" && view.shows !== "latent" ? "data" : name;

/** @type {(view: View, name: PaneName, ranges: Window | null) => PaneName[]} */
export function zoom(view, name, ranges) {
  const space = spaceOf(view, name);
  if (space === null) return [];
  view.zoom[space] = ranges;
  rememberView(view);
  if (space === "data") goOn(view);
  return PANES.filter((other) => spaceOf(view, other) === space);
}

/** Pixels of height that the settings of a lesson's step take, where they have no room in the row of Play. */
function settingsBelow() {
  const [play, settings] = [".st-key-play", ".st-key-lesson_settings"].map((one) =>
    document.querySelector(one)?.getBoundingClientRect(),
  );
  return play && settings && settings.top >= play.bottom ? Math.round(settings.bottom - play.bottom) : 0;
}

/**
 * Sizes from the window, and from what is looked at, so that no picture ever moves another.
 * @type {(view: View) => void}
 */
export function fit(view) {
  const { root } = view;
  const isOfCurves = Boolean(view.scene?.curves);
  const [width, height] = [root.clientWidth, window.innerHeight - (isOfCurves ? settingsBelow() : 0)];
  const size = `${width} ${height} ${isOfCurves}`;
  if (!width || view.size === size) return;
  view.size = size;
  const columns = width >= TWO ? 2 : 1;
  const isBeside = Boolean(root.closest(".st-key-beside_lesson"));
  const room = height - (isBeside ? AROUND_IN_LESSON : AROUND);
  const wanted = isOfCurves || columns === 1 ? TALL_LOSS : LOSS_HEIGHT;
  const side = columns === 2 ? Math.min((width - GAP) / 2, Math.max(LEAST, Math.min(MOST, room - wanted))) : width;
  const most = isBeside && !isOfCurves ? LOSS_HEIGHT : MOST_LOSS;
  const loss = columns === 2 ? Math.max(LOSS_HEIGHT, Math.min(most, room - side)) : wanted;
  root.dataset.columns = String(columns);
  root.style.setProperty("--side", `${Math.floor(side)}px`);
  root.style.setProperty("--loss", `${Math.floor(loss)}px`);
  paint(view, PANES);
  showProbe(view);
}

/** @type {(view: View, pane: PaneName, button: HTMLElement) => void} */
export function setLayer(view, pane, button) {
  const on = button.getAttribute("aria-pressed") !== "true";
  const { layer = "" } = button.dataset;
  const name = `${pane}.${layer}`;
  button.setAttribute("aria-pressed", String(on));
  view.layers[pane][layer] = on;
  if (!view.toggled.delete(name)) view.toggled.add(name);
}

/** @type {(view: View, pane: PaneName, button: HTMLElement) => void} */
function toggle(view, pane, button) {
  setLayer(view, pane, button);
  rememberView(view);
  paint(view, [pane]);
  showRefusals(view);
  goOn(view);
}

/**
 * Show the latent space, the truth or the difference in the second pane.
 * @type {(view: View, shows: Shows) => void}
 */
function look(view, shows) {
  if (shows !== "latent") halt(view);
  view.shows = shows;
  rememberView(view);
  paint(view, ["data", "latent"]);
  showWords(view);
  goOn(view);
}

/** @type {(root: HTMLElement, hands: Hands) => View} */
function mount(root, hands) {
  const slider = partOfKind(root, ".live-depth input", HTMLInputElement);
  /** @type {View} */
  const view = {
    ...hands, root, scene: NO_SCENE, rest: 0, spacing: 125, shows: "latent", zoom: {}, last: -1,
    ticking: false, recalled: {}, toggled: new Set(), colourTop: 0,
    // The newest moment, and what is drawn of it or another one; how far that has come from what was drawn before it.
    newest: null, picture: null, before: null, began: 0, share: 1, isCut: false, frames: 0, writing: undefined,
    pulse: newPulse(), evaluation: newEvaluation(), early: null, refused: "", channel: null,
    drawing: 0 /* milliseconds in all */,
    probe: { x: null, at: null, drawn: [] }, slow: null /* a step in its parts, while it is shown */, theme: undefined,
    size: "", gone: new AbortController(), time: /** @type {View["time"]} */ (newTime()),
    panes: /** @type {View["panes"]} */ ({}), layers: { data: {}, latent: {}, loss: {} },
    depth: { at: 0, wanted: null, asked: null, request: 0, rest: 0, rate: 0, time: 0 },
    slider, observer: new ResizeObserver(() => fit(view)),
  };
  for (const name of PANES) {
    const section = partOf(root, `[data-pane=${name}]`);
    const box = partOf(section, ".live-plot");
    /** @type {(ranges: Window | null) => void} */
    const moved = (ranges) => paint(view, zoom(view, name, ranges));
    const surface = surfaceIn(box, {
      moved,
      pressed: (place) => { if (view.scene && spaceOf(view, name) === "data") pinAt(view, place); },
      told: (place) => {
        const { picture } = surface;
        if (!picture) return "";
        return name === "loss" ? toldLosses(picture, place, view.scene.loss_unit) : told(picture, place);
      },
    });
    if (name !== "loss") {
      box.addEventListener("keydown", (event) => onProbeKey(view, name, event));
      steer(surface, moved);
    }
    view.panes[name] = { section, box, caption: section.querySelector(".live-step"), surface };
    /** @type {NodeListOf<HTMLElement>} */
    const buttons = section.querySelectorAll("[data-layer]");
    for (const button of buttons) {
      view.layers[name][button.dataset.layer ?? ""] = button.getAttribute("aria-pressed") === "true";
      button.addEventListener("click", () => toggle(view, name, button));
    }
  }
  for (const shows of SECOND) {
    partOf(root, `[data-view=${shows}]`).addEventListener("click", () => look(view, shows));
  }
  view.slider.addEventListener("input", () => choose(view));
  view.slider.addEventListener("change", () => askForDepth(view));
  listenToProbe(view);
  partOf(root, "[data-dismiss]").addEventListener("click", dismissHints);
  root.style.setProperty("--samples", COLOURS.samples);
  root.style.setProperty("--held", COLOURS.held);
  view.observer.observe(root);
  window.addEventListener("resize", () => fit(view), { signal: view.gone.signal });
  document.addEventListener("visibilitychange", () => {
    askByChannel(view, { hidden: document.hidden });
    goOn(view);
  }, { signal: view.gone.signal });
  mountTime(view);
  views.add(view);
  offer({ name: "live", figure: () => figureOfLive(view) });
  recallView(view);
  fit(view);
  return view;
}

/** @type {(view: View) => void} */
function unmount(view) {
  halt(view);
  stopReplay(view);
  clearTimeout(view.time.timer);
  closeChannel(view);
  closeEvaluation(view);
  view.observer.disconnect();
  view.gone.abort();
  views.delete(view);
}

/**
 * What the page shows now, in the element of the panes: Streamlit may make another of them.
 * @type {(root: Root, data: Scene, hands: Hands) => void}
 */
export function showScene(root, data, hands) {
  const view = Object.assign(root.live ?? mount(root, hands), hands);
  root.live = view;
  receive(view, data);
}

/** @type {(root: Root) => void} */
export function takeAway(root) {
  if (root.live) unmount(root.live);
}

/**
 * Where the large numbers stand.
 * @type {(root: HTMLElement) => void}
 */
export function showNumbersIn(root) {
  if (placeNumbers(root)) readPresenter();
  showPresenter();
  for (const view of views) if (view.scene) showReadouts(view);
}

/**
 * A true density by its name.
 * @type {(heard: HeardTruth) => void}
 */
export function hearTruth({ id, density, ...colours }) {
  if (density) truths.set(id, { ...colours, density });
  for (const view of views) if (view.scene?.truth === id && view.shows !== "latent") look(view, view.shows);
}
