// The element: its panes, their size, and which of them must be drawn anew.

import { pageTheme } from "../canvas/page.js";
import { BAR_BELOW, drawPicture, surfaceIn } from "../canvas/plane.js";
import { clickableOf, clicked, KEYS, press, takeBack } from "./chosen.js";
import { bring, close, newEvaluated } from "./evaluated.js";
import { sharesTop, topOfAll } from "./heat.js";
import { showLegend } from "./legend.js";
import { CHART, marksOf, pictureOf, PLANE, readSpec, toldOf } from "./picture.js";
import { showMenu } from "./taken.js";

/** @import { Window } from "../canvas/types.js" */
/** @import { Pane, Spec, View } from "./types.js" */

const GAP = 20; // the same as in planes.css
const [LEAST, LARGEST] = [300, 540]; // side of a plot in pixels that is not kept small by the page's width
const WORDY = 560; // pixels of width from which the menu stands in words beside one title
const AROUND = 480; // pixels of a window's height that plots leave to all else

/**
 * How many panes stand side by side on a page of this width, so many being wanted.
 *
 * @param {number} width
 * @param {number} wanted
 */
function columnsOf(width, wanted) {
  const least = width < 700 ? 300 : 190;
  return Math.max(1, Math.min(wanted, Math.floor((width + GAP) / (least + GAP))));
}

/**
 * @param {string} tag
 * @param {string} name
 */
export function part(tag, name) {
  return Object.assign(document.createElement(tag), { className: name });
}

/**
 * @param {View} view
 * @param {Spec} spec
 */
function addPane(view, spec) {
  const [figure, title, note] = [part("figure", ""), part("figcaption", ""), part("p", "planes-note")];
  const [box, legend] = [part("div", "planes-plot"), part("ul", "planes-legend")];
  figure.append(title, note, box, legend);
  view.root.insertBefore(figure, view.told);
  const surface = surfaceIn(box, {
    moved: (ranges) => zoom(view, pane, ranges),
    told: (place) => toldOf(pane, view.top, place),
    pressed: (place) => clicked(view, pane, place),
    doubled: () => takeBack(view, pane),
  });
  /** @type {Pane} */
  const pane = {
    figure, title, note, box, legend, surface, spec, text: "", read: readSpec(spec), theme: pageTheme(view.root),
    drawn: "", chosen: null, before: null, hidden: new Set(), isSeen: false, evaluated: newEvaluated(),
  };
  view.panes.push(pane);
  pane.box.addEventListener("keydown", (event) => press(view, pane, event));
  view.watcher.observe(pane.box);
}

/**
 * @param {View} view
 * @param {Pane} pane
 */
function removePane(view, pane) {
  view.watcher.unobserve(pane.box);
  close(pane);
  pane.figure.remove();
}

/** @type {WeakMap<Element, View>} */
const views = new WeakMap();

/**
 * @param {HTMLElement} root
 * @returns {View}
 */
function mount(root) {
  /** @type {View} */
  const view = {
    root, panes: [], told: part("p", "planes-told"), menu: part("div", "planes-take"), columns: 1, timer: undefined,
    zooms: new Map(), observer: new ResizeObserver(() => refresh(view)), setState: () => {}, trigger: () => {},
    watcher: new IntersectionObserver((entries) => watched(view, entries)), woken: () => bringAll(view),
    flows: {}, moving: false, isRefused: false, zoomedAt: Number.NEGATIVE_INFINITY, top: 0,
  };
  view.told.setAttribute("aria-live", "polite");
  view.menu.hidden = true;
  root.append(view.told, view.menu); // once: what is moved closes
  root.dataset.drawn = "0";
  view.observer.observe(root);
  document.addEventListener("visibilitychange", view.woken);
  views.set(root, view);
  return view;
}

/**
 * Panes have come into the window of the browser, or gone.
 *
 * @param {View} view
 * @param {IntersectionObserverEntry[]} entries
 */
function watched(view, entries) {
  for (const { target, isIntersecting } of entries) {
    const pane = view.panes.find(({ box }) => box === target);
    if (pane) pane.isSeen = isIntersecting;
  }
  bringAll(view);
}

/** Let what panes show of flows be computed. @param {View} view */
function bringAll(view) {
  for (const pane of view.panes) look(view, pane);
}

/**
 * Let what comes next of a pane's flow be computed.
 *
 * @param {View} view
 * @param {Pane} pane
 */
export const look = (view, pane) => bring(view, pane, {
  rangesOf: (one) => view.zooms.get(spaceOf(view, one)) ?? one.read.window,
  found: (one) => showFound(view, one),
});

/**
 * Draw what was just computed. It may change the colours of others.
 *
 * @param {View} view
 * @param {Pane} pane
 */
function showFound(view, pane) {
  const top = topOfAll(view.panes);
  const others = top === view.top ? [] : view.panes.filter((one) => one !== pane && sharesTop(one.read));
  view.top = top;
  describe(pane);
  for (const one of [pane, ...others]) draw(view, one);
}

/** @param {View} view */
function unmount(view) {
  view.observer.disconnect();
  view.watcher.disconnect();
  document.removeEventListener("visibilitychange", view.woken);
  for (const pane of view.panes) close(pane);
  view.root.replaceChildren();
  views.delete(view.root); // should it ever come back
}

/**
 * Words and roles; the same ones again are not written, or a screen reader would read them again.
 *
 * @param {Pane} pane
 */
function describe(pane) {
  const { spec, title, note, box, evaluated: { refusal } } = pane;
  /** @type {(node: HTMLElement, text: string) => void} */
  const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  const isClickable = clickableOf(pane) !== null;
  set(title, spec.title);
  set(note, refusal || spec.note);
  box.setAttribute("role", isClickable ? "application" : "img");
  box.setAttribute("aria-label", refusal ? `${spec.alt} ${refusal}` : spec.alt);
  if (isClickable) {
    box.tabIndex = 0;
    box.setAttribute("aria-description", KEYS);
  } else {
    box.removeAttribute("tabindex");
    box.removeAttribute("aria-description");
  }
}

/**
 * @param {View} view
 * @param {Data} data
 */
function receive(view, { columns, panes: specs, flows, moving }) {
  Object.assign(view, { columns, flows, moving, isRefused: view.isRefused && Object.keys(flows).length > 0 });
  for (const pane of view.panes.splice(specs.length)) removePane(view, pane);
  for (const spec of specs.slice(view.panes.length)) addPane(view, spec);
  specs.forEach((spec, k) => {
    const pane = view.panes[k];
    const text = JSON.stringify(spec);
    if (text === pane.text) return;
    const before = pane.text ? clickableOf(pane) : null;
    Object.assign(pane, { spec, text, read: readSpec(spec) });
    const point = spec.kind === "pane" ? spec.point : null;
    const moved = !before || JSON.stringify(point) !== JSON.stringify(before.point);
    if (!clickableOf(pane)) pane.chosen = point;
    else if (point && moved && view.timer === undefined) pane.chosen = point; // not under a hand on the keys
    describe(pane);
  });
  view.top = topOfAll(view.panes);
  refresh(view);
}

/**
 * Panes of one part of the plane zoom together; another window, or a chart of something else, is seen as a whole.
 *
 * @param {View} view
 * @param {Pane} pane
 */
export function spaceOf(view, { spec, read }) {
  return spec.kind === "pane"
    ? JSON.stringify([spec.x, spec.y, spec.window])
    : JSON.stringify([view.panes.findIndex((pane) => pane.spec === spec), spec.x, spec.y, read.logs]);
}

/**
 * @param {View} view
 * @param {Pane} pane
 * @param {Window | null} ranges
 */
function zoom(view, pane, ranges) {
  const space = spaceOf(view, pane);
  view.zooms.set(space, ranges);
  view.zoomedAt = performance.now();
  for (const other of view.panes) {
    if (spaceOf(view, other) !== space) continue;
    draw(view, other);
    look(view, other);
  }
}

/**
 * @param {View} view
 * @param {Pane} pane
 * @param {string} label
 */
function toggle(view, pane, label) {
  if (!pane.hidden.delete(label)) pane.hidden.add(label);
  draw(view, pane);
  showNames(view, pane);
}

/**
 * Room around the plot.
 *
 * @param {Spec} spec
 */
const marginOf = ({ kind }) => (kind === "chart" ? CHART : PLANE);

/** @param {Spec} spec */
const sidesOf = (spec) => marginOf(spec).left + marginOf(spec).right;

/**
 * Room for the axis below the plot and, if there is one, the colour bar.
 *
 * @param {Spec} spec
 * @param {boolean} [hasBar]
 */
export const bottomOf = (spec, hasBar = spec.kind === "pane" && spec.heat?.bar) =>
  marginOf(spec).bottom + (hasBar ? BAR_BELOW : 0);

/**
 * Height of the plot itself for its width; a chart is as high as the squares beside it.
 *
 * @param {Spec} spec
 * @param {number} width
 * @param {number | undefined} squares
 */
function plotHeight(spec, width, squares) {
  if (spec.kind === "pane" && spec.square) {
    const [[x0, x1], [y0, y1]] = spec.window;
    return Math.round((width * (y1 - y0)) / (x1 - x0));
  }
  if (spec.kind === "chart" && spec.height) {
    return Math.round(Math.min(spec.height, Math.max(220, 0.5 * window.innerHeight)));
  }
  return squares ?? Math.round(Math.max(180, Math.min(300, 0.62 * width)));
}

/**
 * Draw what has changed: in itself, the page's colours or its width.
 *
 * @param {View} view
 */
function refresh(view) {
  const width = view.root.clientWidth;
  if (!width || !view.panes.length) return;
  const columns = columnsOf(width, view.columns);
  view.root.style.setProperty("--columns", String(columns));
  view.root.dataset.columns = String(columns);
  view.root.toggleAttribute("data-short", columns > 1 || width < WORDY);
  const room = Math.floor((width - GAP * (columns - 1)) / columns);
  const theme = pageTheme(view.root);
  const square = columns > 1 && view.panes.map(({ spec }) => spec).find((spec) => spec.kind === "pane" && spec.square);
  const largest = Math.max(LEAST, Math.min(LARGEST, window.innerHeight - AROUND));
  /** @param {Spec} spec */
  const widthOf = (spec) => Math.min(room - sidesOf(spec), columns === 1 && spec.kind === "chart" ? Infinity : largest);
  const squares = square ? plotHeight(square, widthOf(square), undefined) : undefined;
  const widest = Math.max(...view.panes.map(({ spec }) => widthOf(spec) + sidesOf(spec)));
  view.root.style.setProperty("--room", columns > 1 ? `${widest}px` : "1fr");
  for (const pane of view.panes) {
    const plot = widthOf(pane.spec);
    const { spec, box } = pane;
    const height = plotHeight(spec, plot, squares);
    const wanted = [theme.ink(1), theme.paper, theme.font, plot, height, pane.chosen, pane.text].join();
    if (wanted === pane.drawn) continue;
    Object.assign(pane, { drawn: wanted, theme });
    Object.assign(box.style, {
      width: `${plot + sidesOf(spec)}px`, height: `${height + marginOf(spec).top + bottomOf(spec)}px`,
    });
    draw(view, pane);
    showNames(view, pane);
    view.root.dataset.drawn = String(Number(view.root.dataset.drawn) + 1);
  }
  bringAll(view);
}

/**
 * @param {View} view
 * @param {Pane} pane
 */
export function draw(view, pane) {
  const { read, theme, chosen, hidden, surface, spec, evaluated, figure } = pane;
  const ranges = view.zooms.get(spaceOf(view, pane));
  const picture = pictureOf(read, theme, { ranges, chosen, hidden, evaluated, top: view.top });
  Object.assign(figure.dataset, { flow: evaluated.flow || evaluated.samplesOf, nodes: String(evaluated.side) });
  picture.margin = { ...picture.margin, bottom: bottomOf(spec) };
  drawPicture(surface, picture, theme);
}

/**
 * Bring the legend up to date.
 *
 * @param {View} view
 * @param {Pane} pane
 */
function showNames(view, pane) {
  const { read, theme, hidden, legend, spec, evaluated } = pane;
  legend.hidden = !spec.legend;
  const marks = spec.legend ? marksOf(read, evaluated, theme) : [];
  if (spec.legend) showLegend(legend, marks, hidden, theme, (label) => toggle(view, pane, label));
}

/**
 * What Python sends.
 *
 * @typedef {object} Data
 * @property {number} columns
 * @property {Spec[]} panes
 * @property {Record<string, string>} flows  the weights of flows in base64, by their names
 * @property {boolean} moving  whether these train
 * @property {import("../types.js").Take} take  of the menu
 */

/** @param {import("../types.js").Call<Data>} call */
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = /** @type {HTMLElement} */ (parentElement.querySelector(".planes"));
  const view = views.get(root) ?? mount(root);
  Object.assign(view, { setState: setStateValue, trigger: setTriggerValue });
  receive(view, data);
  showMenu(view, data.take, setTriggerValue);
  return () => unmount(view);
}
