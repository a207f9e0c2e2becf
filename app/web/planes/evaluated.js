// What a pane shows of a flow, computed in this browser from the flow's weights: of the newest weights alone, for panes
// that are seen, and as finely as the machine can.

import { finer } from "../canvas/field.js";
import { densities } from "../flow/between.js";
import { openEvaluator } from "../flow/client.js";
import { gridPoints } from "../flow/evaluate.js";
import { noiseOf } from "../flow/noise.js";
import { topOf } from "./heat.js";
import { rowsOf, samePlace } from "./places.js";
import { nextWork, rowsAtATime } from "./wanted.js";

/** @import { Evaluator } from "../flow/client.js" */
/** @import { Field, Window } from "../canvas/types.js" */
/** @import { Pairs, Pane, View } from "./types.js" */
/** @import { Needs, Work } from "./wanted.js" */

/**
 * Beside `Has` of `wanted.js`:
 *
 * @typedef {object} Evaluated
 * @property {Evaluator | null} evaluator
 * @property {string} taken  the name of the weights that it has
 * @property {string} flow  of the field
 * @property {Window | null} ranges
 * @property {number} side
 * @property {Field | null} nodes  the density at the nodes
 * @property {Field | null} field  the same as it is drawn
 * @property {string} topOf
 * @property {number} top  where colours end
 * @property {string} samplesOf
 * @property {Pairs | null} samples
 * @property {string} refusal  why there are none
 * @property {number} slow  how many answers in a row have taken too long
 * @property {boolean} isBusy
 * @property {boolean} isForced  whether it is wanted although it is not seen
 * @property {(() => void)[]} waiting  told when all is there
 * @property {ReturnType<typeof setTimeout> | undefined} timer
 */

const REST_MS = 200; // after a hand has zoomed, until pictures are sharp
const MOST_SLOW = 3; // answers in a row that may take too long: a machine is slow for a moment, too

/** @returns {Evaluated} */
export const newEvaluated = () => ({
  evaluator: null, taken: "", flow: "", ranges: null, side: 0, nodes: null, field: null, topOf: "", top: 0,
  samplesOf: "", samples: null, refusal: "", slow: 0, isBusy: false, isForced: false, waiting: [], timer: undefined,
});

/** Forget what was computed, and what is under way. @param {Pane} pane */
export function close(pane) {
  const { evaluated } = pane;
  pane.evaluated = newEvaluated();
  clearTimeout(evaluated.timer);
  evaluated.evaluator?.close();
  tellAll(evaluated);
}

/** Nothing more comes of what is wanted now. @param {Evaluated} evaluated */
function tellAll(evaluated) {
  evaluated.isForced = false;
  for (const tell of evaluated.waiting.splice(0)) tell();
}

/**
 * What a pane shows of a flow; null if that is nothing.
 *
 * @param {View} view
 * @param {Pane} pane
 * @param {Window} ranges  that are seen
 * @returns {Needs | null}
 */
function needsOf(view, { read, box, spec, evaluated }, ranges) {
  const { heat } = read;
  const dots = read.dots.flatMap((one) => ("flow" in one ? [one] : []));
  const density = heat !== null && "flow" in heat ? heat : null;
  const flow = density?.flow ?? dots[0]?.flow;
  if (flow === undefined || spec.kind !== "pane") return null;
  return {
    flow, density: density !== null, ranges, whole: density?.high === null ? spec.window : null,
    samples: Math.max(0, ...dots.map(({ count }) => count)),
    mayBeSharp: !view.moving && performance.now() - view.zoomedAt >= REST_MS && evaluated.slow === 0,
    pixels: box.clientWidth * (window.devicePixelRatio || 1),
  };
}

/**
 * Compute what comes next of a pane's flow, if there is something, and then what comes after it.
 *
 * @param {View} view
 * @param {Pane} pane
 * @param {{rangesOf: (pane: Pane) => Window, found: (pane: Pane) => void}} hands  `found` is told of what is new
 */
export async function bring(view, pane, hands) {
  const { evaluated } = pane;
  const needs = needsOf(view, pane, hands.rangesOf(pane));
  if (!needs) return close(pane);
  if (evaluated.isBusy) return;
  const work = view.isRefused ? null : nextWork(needs, evaluated, evaluated.evaluator?.ability() ?? null);
  if (!work || !mayWork(view, pane, work)) {
    tellAll(evaluated);
    rest(view, pane, needs, hands);
    return;
  }
  evaluated.isBusy = true;
  try {
    evaluated.evaluator ??= openEvaluator();
    if (evaluated.taken !== needs.flow) evaluated.evaluator.take(bufferOf(view.flows[needs.flow]));
    evaluated.taken = needs.flow;
    const isDone = work.isSharp
      ? await sharpen(evaluated, evaluated.evaluator, needs, work, () => isWanted(view, pane, needs, hands))
      : await compute(evaluated, evaluated.evaluator, needs, work);
    const why = evaluated.evaluator.refuses();
    evaluated.slow = why ? evaluated.slow + 1 : 0;
    if (evaluated.slow >= MOST_SLOW) throw new Error(why);
    if (isDone && pane.evaluated === evaluated) hands.found(pane);
  } catch (error) {
    if (pane.evaluated === evaluated) refuse(view, error instanceof Error ? error.message : String(error));
  } finally {
    evaluated.isBusy = false;
  }
  if (pane.evaluated === evaluated) bring(view, pane, hands);
}

/**
 * Whether now is the time for a piece of work. What is beside the window of the browser is computed for print:
 * coarsely, and while nothing moves.
 *
 * @param {View} view
 * @param {Pane} pane
 * @param {Work} work
 */
function mayWork({ moving }, { evaluated, isSeen, box }, { isSharp }) {
  if (document.hidden || !box.clientWidth) return false;
  return isSeen || evaluated.isForced || (!moving && !isSharp);
}

/** Look again when the hand that zooms has come to rest. */
/** @type {(view: View, pane: Pane, needs: Needs, hands: Parameters<typeof bring>[2]) => void} */
function rest(view, pane, { mayBeSharp }, hands) {
  if (mayBeSharp || view.moving) return;
  clearTimeout(pane.evaluated.timer);
  pane.evaluated.timer = setTimeout(() => bring(view, pane, hands), REST_MS);
}

/** @type {(view: View, pane: Pane, needs: Needs, hands: Parameters<typeof bring>[2]) => boolean} */
function isWanted(view, pane, needs, { rangesOf }) {
  const now = needsOf(view, pane, rangesOf(pane));
  return now !== null && now.flow === needs.flow && now.mayBeSharp && samePlace(now.ranges, needs.ranges);
}

/** @param {string} base64 */
const bufferOf = (base64) => Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0)).buffer;

/**
 * A coarse picture, samples and what says where colours end, as far as they are wanted; whether they were found.
 *
 * @param {Evaluated} evaluated
 * @param {Evaluator} evaluator
 * @param {Needs} needs
 * @param {Work} work
 */
async function compute(evaluated, evaluator, { flow, ranges, whole, samples: count }, { density, side, top, samples }) {
  const points = top && whole ? gridPoints(whole, side, side) : null;
  const [field, apart, drawn] = await Promise.all([
    density ? evaluator.density({ window: ranges, columns: side, rows: side }) : null,
    points ? evaluator.logProb(points) : null,
    samples ? evaluator.samples(noiseOf(count)) : null,
  ]);
  if ((density && !field) || (points && !apart) || (samples && !drawn)) return false;
  if (field) put(evaluated, flow, ranges, { values: numbersOf(field.logProb), rows: side, columns: side });
  if (whole && (apart || samePlace(whole, ranges))) {
    const values = numbersOf((apart ?? /** @type {{logProb: Float32Array}} */ (field)).logProb);
    Object.assign(evaluated, { topOf: flow, top: topOf({ values, rows: side, columns: side }) });
  }
  if (drawn) Object.assign(evaluated, { samplesOf: flow, samples: pairsOf(drawn.points), refusal: drawn.refusal });
  return true;
}

/**
 * A sharp picture, some rows after the other, until somebody wants another one; whether there is one.
 *
 * @param {Evaluated} evaluated
 * @param {Evaluator} evaluator
 * @param {Needs} needs
 * @param {Work} work
 * @param {() => boolean} goesOn
 */
async function sharpen(evaluated, evaluator, { flow, ranges }, { side }, goesOn) {
  const values = new Float32Array(side * side);
  const atATime = rowsAtATime(evaluator.ability(), side);
  for (let row = 0; row < side; row += atATime) {
    const rows = Math.min(atATime, side - row);
    const stripe = await evaluator.density({ window: rowsOf(ranges, side, row, rows), columns: side, rows });
    if (!stripe || !goesOn()) return false;
    values.set(numbersOf(stripe.logProb), row * side);
  }
  put(evaluated, flow, ranges, { values, rows: side, columns: side });
  return true;
}

/** Densities from their logarithms; what is not finite is no number. @param {Float32Array | Float64Array} logProb */
const numbersOf = (logProb) =>
  densities(logProb).map((value) => (value < Number.POSITIVE_INFINITY ? value : Number.NaN));

/** @type {(evaluated: Evaluated, flow: string, ranges: Window, nodes: Field) => void} */
function put(evaluated, flow, ranges, nodes) {
  Object.assign(evaluated, { flow, ranges, side: nodes.rows, nodes, field: finer(nodes) });
}

/** @param {Float32Array | Float64Array} points */
function pairsOf(points) {
  const [x, y] = [0, 1].map((k) => Float64Array.from({ length: points.length / 2 }, (_, i) => points[2 * i + k]));
  return { x, y };
}

/** This browser cannot draw these flows: the server shall. @param {View} view @param {string} why */
function refuse(view, why) {
  if (view.isRefused) return;
  view.isRefused = true;
  view.root.dataset.refused = why;
  view.trigger("refused", why);
}

/**
 * Wait until all that panes show is there, also of those that are not seen.
 *
 * @param {View} view
 * @param {(pane: Pane) => void} look  at what comes next for a pane
 */
export async function completed(view, look) {
  await Promise.all(view.panes.map((pane) => new Promise((done) => {
    pane.evaluated.isForced = true;
    pane.evaluated.waiting.push(() => done(null));
    look(pane);
  })));
}

