// The probe: a point x of the data space that somebody has pinned. Its path through the flow is drawn, and below the
// x-to-z slider what its log density is made of (`point.js`).

import { viewInAddress } from "../canvas/address.js";
import { shown } from "../canvas/numbers.js";
import { partOf, partOfKind } from "../part.js";
import { askByChannel } from "./channel.js";
import { paint } from "./clock.js";
import { lastStage } from "./depth.js";
import { spaceOf, views } from "./element.js";
import { goOn } from "./evaluation.js";
import { showHint } from "./hints.js";
import { chooseView, isChord } from "./keys.js";
import { dataSpace } from "./planes.js";
import { atProbe } from "./point.js";
import { focusPlane } from "./present.js";
import { ARROWS } from "./steer.js";
import { isPast } from "./time.js";
import { rememberView } from "./view.js";
import { drawWaterfall, HALF_THUMB, nats } from "./waterfall.js";
import { element } from "./words.js";

/** @import { Layer, Place, Range, Window } from "../canvas/types.js" */
/** @import { Known, Measured } from "./point.js" */
/** @import { PaneName, Scene, View } from "./types.js" */

export const POINT = "view.point"; // what the address calls it, in the units of the axes
const PROBE = { path: "#CC79A7", halo: "rgba(255,255,255,0.85)" };
const NUDGE = 0.02; // of what is shown, for each press of Shift and an arrow
/** @type {Record<string, (mean: string, off: string, when: string, terms: number | null) => string>} */
const ESTIMATORS = {
  exact: () => "Training uses it.",
  truncated: (mean, off, when, terms) => `With ${terms} terms, as in training${when}: ${mean} ± ${off}.`,
  roulette: (mean, off, when) => `With roulette, as in training${when}: ${mean} ± ${off}.`,
};

/** @type {(view: View, place: Place) => Place} */
const toFlow = ({ scene: { axes: [a, b] } }, [x, y]) => [(x - a.centre) / a.scale, (y - b.centre) / b.scale];
/** @type {(view: View, point: Place) => Place} */
export const toShown = ({ scene: { axes: [a, b] } }, [x, y]) => [a.centre + a.scale * x, b.centre + b.scale * y];

/** @type {(point: Place, window: Window) => boolean} */
const within = ([x, y], [[x0, x1], [y0, y1]]) => x >= x0 && x <= x1 && y >= y0 && y <= y1;

/**
 * Pin a point, in the flow's units, or take it away: null.
 * @type {(view: View, point: Place | null) => void}
 */
function pin(view, point) {
  const isSame = JSON.stringify(point) === JSON.stringify(view.probe.x);
  view.probe.x = point;
  if (!isSame) askForPoint(view);
  rememberView(view);
  paint(view, ["data", "latent"]);
  showProbe(view);
  showHint(view);
  goOn(view);
}

/**
 * A click, at a place in the units of the axes: with as many digits as a pixel deserves, so that the address has
 * it.
 * @type {(view: View, place: Place) => void}
 */
export function pinAt(view, place) {
  const [across, up] = dataSpace(view).plane;
  /** @type {(value: number, range: Range) => number} */
  const rounded = (value, [low, high]) => {
    const step = 10 ** Math.floor(Math.log10((high - low) / 2000));
    return Number((Math.round(value / step) * step).toPrecision(10));
  };
  pin(view, toFlow(view, [rounded(place[0], across), rounded(place[1], up)]));
}

/**
 * Where the channel is closed it costs a run of the page's script.
 * @type {(view: View) => void}
 */
function askForPoint(view) {
  if (!askByChannel(view, { point: view.probe.x })) view.setState("point", view.probe.x);
}

/** @type {(view: View, at: Measured | null) => void} */
export function arriveAt(view, at) {
  // A run of the script that began before may end after the channel spoke.
  if (!at || at.step < (view.probe.at?.step ?? -Infinity)) return;
  view.probe.at = at;
  if (!atProbe(view)) return;
  paint(view, ["latent"], view.theme);
  showProbe(view);
}

/**
 * The point that the address names, in the units of the axes; null where it names none within the window.
 * @type {(view: View) => Place | null}
 */
function pointInAddress(view) {
  const numbers = (viewInAddress(POINT) ?? "").split(",").map(Number);
  if (!viewInAddress(POINT) || numbers.length !== 2 || !numbers.every(Number.isFinite)) return null;
  /** @type {Place} */
  const place = [numbers[0], numbers[1]];
  return within(place, dataSpace(view).plane) ? toFlow(view, place) : null;
}

/**
 * What the address says of it.
 * @type {(view: View) => string | null}
 */
export const writtenPoint = (view) =>
  view.probe.x && view.scene
    ? toShown(view, view.probe.x)
        .map((value) => Number(value.toPrecision(6)))
        .join(",")
    : null;

/**
 * A new run: the point stays pinned where its plane still has it.
 * @type {(view: View, before: Scene | undefined) => void}
 */
export function keepProbe(view, before) {
  const { probe } = view;
  probe.at = null;
  if (!before) probe.x = pointInAddress(view);
  else if (probe.x) {
    if (!within(probe.x, view.scene.window) || before.truth !== view.scene.truth) probe.x = null;
  }
}

/**
 * A ring around it in data space.
 * @type {(view: View) => Layer[]}
 */
export function probeInData(view) {
  if (!view.probe.x) return [];
  const [x, y] = toShown(view, view.probe.x);
  return [{ kind: "ring", name: "probe", x, y }];
}

/**
 * Its path from x to z, with a dot after each block, a ring where the pane is, and z by its name.
 * @type {(view: View, at: number) => Layer[]}
 */
export function probeInFlow(view, at) {
  const path = atProbe(view)?.path;
  if (!path || path.some((place) => place.includes(null))) return [];
  const [x, y] = [0, 1].map((i) => path.map((place) => Number(place[i])));
  const k = Math.floor(at), share = at - k, next = Math.min(k + 1, path.length - 1);
  const here = [x, y].map((values) => values[k] + share * (values[next] - values[k]));
  const marker = { size: 4, symbol: "circle", colour: PROBE.path, edge: { width: 0.6, colour: "#fff" } };
  return [
    { kind: "line", name: "path", x, y, colour: PROBE.path, width: 2, halo: PROBE.halo },
    { kind: "points", name: "path", x, y, marker },
    { kind: "ring", name: "probe", x: here[0], y: here[1] },
    { kind: "name", name: "z", x: x[x.length - 1], y: y[y.length - 1], text: "z of x" },
  ];
}

/**
 * How far its path goes from the middle.
 * @type {(view: View) => number}
 */
export const probeReach = (view) => {
  const path = atProbe(view)?.path.flat().filter((value) => value !== null) ?? [];
  return Math.min(view.scene.frame_window[1], Math.max(0, ...path.map(Math.abs)));
};

/**
 * The formula, the waterfall and the chosen term, or nothing.
 * @type {(view: View) => void}
 */
export function showProbe(view) {
  const { root, probe } = view;
  const at = atProbe(view);
  const [sum, term] = [".live-sum", ".live-term"].map((part) => partOf(root, part));
  const svg = partOfKind(root, ".live-fall", SVGElement);
  const hasNone = !probe.x || (!at && (isPast(view) || !probe.at));
  for (const part of [sum, svg, term]) part.toggleAttribute("hidden", hasNone);
  root.dataset.probe = hasNone ? "" : at ? "known" : "asked";
  if (hasNone || !at) return;
  const chosen = Math.min(view.depth.wanted ?? lastStage(view), at.log_dets.length + 1);
  const drawn = [at, chosen, svg.clientWidth, svg.clientHeight, view.scene.checks];
  if (drawn.every((one, i) => one === probe.drawn[i])) return; // moving pictures come more often than what is measured
  probe.drawn = drawn;
  showSum(view, sum, at);
  drawWaterfall(svg, at, chosen);
  svg.setAttribute(
    "aria-label",
    `Waterfall of log p(x) over the flow at step ${at.step}: ActNorm ${nats(at.actnorm)}, ` +
      `${at.log_dets.length} blocks together ${nats(sumOf(at.log_dets))}, the base ${nats(at.log_normal)}; ` +
      `sum ${nats(at.log_prob)} ${view.scene.loss_unit}. The chosen term: ${termName(at, chosen)}.`,
  );
  showTerm(view, term, at, chosen);
}

/**
 * Their sum, null where one is not finite.
 * @type {(values: (number | null)[]) => number | null}
 */
const sumOf = (values) => values.reduce((total, value) => (total === null || value === null ? null : total + value), 0);

/** @type {(view: View, box: HTMLElement, at: Known) => void} */
function showSum(view, box, at) {
  const { scene } = view;
  const terms = [
    ["", "log p(x)", nats(at.log_prob)], ["=", "log N(z; 0, I)", nats(at.log_normal)],
    ["+", "Σ log det(I + A)", nats(sumOf(at.log_dets))], ["+", "ActNorm", nats(at.actnorm)],
  ];
  if (at.true_log_prob !== null) terms.push(["", "true log p(x)", nats(at.true_log_prob)]);
  const area = Math.abs(dataSpace(view).area);
  box.title = `In ${scene.loss_unit}, at step ${at.step.toLocaleString("en")}. The density there is ` +
    `${at.log_prob === null ? "–" : shown(Math.exp(at.log_prob) / area)} per unit area.`;
  box.replaceChildren(...terms.flatMap(([sign, name, value]) => {
    const column = element("span", "live-summand");
    column.append(element("span", "", name), element("b", "", value));
    return sign ? [element("span", "live-sign", sign), column] : [column];
  }));
  if (at.isOwn) box.append(drawnBy(at));
}

/**
 * The server's value of log p(x) beside the browser's: their difference if both are of one step.
 * @type {(at: Known) => HTMLElement}
 */
function drawnBy({ step, log_prob: own, server }) {
  const line = element("span", "live-by", "Drawn by your browser");
  if (!server) return line;
  const { step: of, log_prob: value } = server;
  const when = of === step ? "" : ` at step ${of.toLocaleString("en")}`;
  const told = [`; by the server${when}: `, element("b", "", nats(value))];
  if (of === step && value !== null && own !== null) {
    told.push(", difference ", element("b", "", Math.abs(own - value).toExponential(0).replace("-", "−")));
  }
  line.append(...told);
  return line;
}

/** @type {(at: Known, chosen: number) => string} */
const termName = (at, chosen) => {
  if (chosen === 0) return `ActNorm ${nats(at.actnorm)}`;
  if (chosen > at.log_dets.length) return `log N(z; 0, I) = ${nats(at.log_normal)}`;
  return `block ${chosen}, log det(I + A) = ${nats(at.log_dets[chosen - 1])}`;
};

/** @type {(view: View, box: HTMLElement, at: Known, chosen: number) => void} */
function showTerm(view, box, at, chosen) {
  const block = chosen - 1;
  const isBlock = block >= 0 && block < at.log_dets.length;
  const matrix = partOf(box, ".live-matrix");
  const check = partOfKind(box, "[data-check]", HTMLButtonElement);
  matrix.hidden = !isBlock;
  check.hidden = !isBlock || !view.scene.checks;
  const [first, second] = box.querySelectorAll("p");
  if (isBlock) {
    const entries = at.jacobians[block];
    matrix.replaceChildren(...entries.map((value) => element("span", "", nats(value))));
    matrix.setAttribute("aria-label", `A of block ${chosen}, row by row: ${entries.map(nats).join(", ")}`);
    first.textContent = `A of block ${chosen} has the eigenvalues ${eigenvaluesOf(at.eigenvalues[block])}.`;
    second.textContent = `True log det(I + A): ${nats(at.log_dets[block])}. ${estimateOf(at, block)}`;
    const radius = at.radii[block] ?? Infinity;
    check.disabled = radius >= 0.99;
    check.title = check.disabled
      ? `The spectral radius of this A is ${shown(radius)}. The series converges below 1: use 0.99 or less.`
      : "Check this matrix by hand";
  } else if (chosen) {
    const z = at.path[at.path.length - 1].map(nats).join(", ");
    first.textContent = `The base: log N(z; 0, I) = ${nats(at.log_normal)} at z = (${z}).`;
    second.textContent = "It is larger if z is nearer to 0. Drag along the bars to see a block.";
  } else {
    first.textContent = `ActNorm: its scales add ${nats(at.actnorm)} in total, the same for every x.`;
    second.textContent = "Drag along the bars to see a block.";
  }
}

/**
 * What training's estimate of a log det is, by the server.
 * @type {(at: Known, block: number) => string}
 */
function estimateOf({ step, server }, block) {
  if (!server) return "";
  const when = server.step === step ? "" : ` at step ${server.step.toLocaleString("en")}`;
  const [mean, off] = [nats(server.means[block]), deviation(server.deviations[block])];
  return ESTIMATORS[server.estimator]?.(mean, off, when, server.terms) ?? "";
}

/** @type {(value: number | null) => string} */
const deviation = (value) => (value === null ? "∞" : nats(value));

/** @type {(of: (number | null)[]) => string} */
function eigenvaluesOf([real, imaginary, other]) {
  if (imaginary) return `${nats(real)} ± ${nats(Math.abs(imaginary))} i`;
  return `${nats(real)} and ${nats(other)}`;
}

/**
 * Dragging along the bars chooses a stage, as the slider does.
 * @type {(view: View) => void}
 */
function listenToFall(view) {
  const svg = partOfKind(view.root, ".live-fall", SVGElement);
  /** @type {(event: PointerEvent, ...told: string[]) => void} */
  const go = (event, ...told) => {
    const { left, width } = svg.getBoundingClientRect();
    const share = (event.clientX - left - HALF_THUMB) / (width - 2 * HALF_THUMB);
    if (view.shows !== "latent") chooseView("latent");
    view.slider.value = String(Math.round(share * lastStage(view)));
    for (const name of told) view.slider.dispatchEvent(new Event(name, { bubbles: true }));
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    svg.setPointerCapture(event.pointerId);
    go(event, "input");
  });
  svg.addEventListener("pointermove", (event) => svg.hasPointerCapture(event.pointerId) && go(event, "input"));
  svg.addEventListener("pointerup", (event) => go(event, "change"));
}

/**
 * Enter pins the middle of a plane of data space, or the pinned point anew; Shift and arrows move it.
 * @type {(view: View, name: PaneName, event: KeyboardEvent) => void}
 */
export function onProbeKey(view, name, event) {
  if (spaceOf(view, name) !== "data" || !view.scene || !view.picture || isChord(event)) return;
  const { picture } = view.panes[name].surface;
  if (!picture) return;
  const [[x0, x1], [y0, y1]] = [picture.x.range, picture.y.range];
  const pinned = view.probe.x && toShown(view, view.probe.x);
  if (event.key === "Enter") pinAt(view, pinned ?? [(x0 + x1) / 2, (y0 + y1) / 2]);
  else if (event.shiftKey && event.key in ARROWS && pinned) {
    const [right, up] = ARROWS[event.key];
    pinAt(view, [pinned[0] + right * NUDGE * (x1 - x0), pinned[1] + up * NUDGE * (y1 - y0)]);
  } else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

/** Take the point away, and say whether there was one. */
export function leaveProbe() {
  const view = [...views].find(({ root, probe }) => root.isConnected && probe.x);
  if (view) pin(view, null);
  return Boolean(view);
}

/**
 * The buttons of the strip.
 * @type {(view: View) => void}
 */
export function listenToProbe(view) {
  listenToFall(view);
  partOf(view.root, "[data-unpin]").addEventListener("click", () => {
    pin(view, null);
    focusPlane();
  });
  partOf(view.root, "[data-check]").addEventListener("click", () => {
    const at = atProbe(view);
    const entries = at?.jacobians[(view.depth.wanted ?? 0) - 1];
    if (entries) view.setTrigger("matrix", entries.map((value) => Number(value?.toPrecision(6))));
  });
}
