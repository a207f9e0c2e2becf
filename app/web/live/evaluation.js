// The evaluation of flows in this browser. Of the moment that is to be seen it asks for what the panes need, one answer
// after the other (`wanted.js`), and makes a picture of them: a coarse one at once, and a sharp one where it stays.

import { isCalm } from "../canvas/page.js";
import { openEvaluator } from "../flow/client.js";
import { decodeMessage } from "../flow/message.js";
import { askByChannel } from "./channel.js";
import { moves, paintPlanes, play, show, take as takeMoment } from "./clock.js";
import { decodeFloats } from "./decode.js";
import { noiseOf } from "../flow/noise.js";
import { showProbe } from "./probe.js";
import { topOf } from "./picture.js";
import { isPast, keepMoments } from "./time.js";
import { continued, densityOf, missing, SHARP, sharper, wholeOf } from "./wanted.js";
import { showRefusals } from "./words.js";

/** @import { Field, Window } from "../canvas/types.js" */
/** @import { Estimator } from "../flow/belief.js" */
/** @import { Evaluator, PointTerms } from "../flow/client.js" */
/** @import { Moment } from "./film.js" */
/** @import { Picture } from "./picture.js" */
/** @import { Axis, Scene, View } from "./types.js" */
/** @import { Needs, Nodes, Sharpening, Wants } from "./wanted.js" */

/** @typedef {Float32Array | Float64Array} Numbers */

/**
 * What was found of what was wanted.
 * @typedef {object} Found
 * @property {{nodes: Nodes, values: Float32Array}[]} densities per unit area
 * @property {{count: number, points: Float32Array, lines: Float32Array} | null} ways
 * @property {{points: Float32Array | null, refusal: string} | null} samples
 * @property {PointTerms | null} terms
 */

/**
 * What a view knows of its evaluation.
 * @typedef {object} Evaluation
 * @property {Evaluator | null} evaluator
 * @property {Moment | null} moment that is to be seen
 * @property {Moment | null} taken by the evaluator
 * @property {Moment | null} of what there is a picture
 * @property {Picture | null} picture
 * @property {Sharpening | null} sharpening
 * @property {boolean} isBusy
 * @property {number} slow answers in a row after which the machine was called too slow
 * @property {boolean} isRefused whether the server draws instead
 * @property {ReturnType<typeof setTimeout> | undefined} timer
 * @property {number} rest until which time moving pictures wait
 * @property {number} cameAt when the last one came
 */

const APART_MS = 100; // from the beginning of one moving picture to that of the next, at least
export const CALM_APART_MS = 1000; // the same for who wants no motion
const MOST_SHARE = 0.5; // of a core that evaluates moving pictures
const SPACING = [60, 500]; // milliseconds between two pictures, at least and at most, as one turns into the next
const MOST_SLOW = 5; // answers in a row: something else may keep a machine busy for a moment
const MOST_SECONDS = 30; // of one answer
const STRIPE_MS = 40; // of a sharp picture, so that a hand does not wait for long
const SAMPLES = 500;
const LARGEST = 80; // nats: what float32 holds
const LINES = 13; // of the grid, in each direction
const COARSE = 40; // nodes a side, before it is known what a machine can do
const FEW = 50; // nodes a side, at most, while the page cannot paint both planes in each frame

/** @returns {Evaluation} */
export const newEvaluation = () => ({
  evaluator: null,
  moment: null,
  taken: null,
  of: null,
  picture: null,
  sharpening: null,
  isBusy: false,
  slow: 0,
  isRefused: false,
  timer: undefined,
  rest: 0,
  cameAt: 0,
});

/** A message with weights has come. Of an edited flow another may come of the same step. @param {View} view
 * @param {ArrayBuffer} weights */
export function takeWeights(view, weights) {
  const { run, step } = decodeMessage(weights);
  if (run !== view.scene.run) {
    view.early = weights; // a scene will say that this run has begun
    return;
  }
  if (step < view.last || isSame(weights, view.newest?.weights)) return;
  view.last = step;
  const moment = { run: view.scene.run, step, weights };
  keepMoments(view, [moment]);
  takeMoment(view, moment);
}

/** @param {ArrayBuffer} one @param {ArrayBuffer} [other] */
function isSame(one, other) {
  if (one.byteLength !== other?.byteLength) return false;
  const [a, b] = [new Uint8Array(one), new Uint8Array(other)];
  return a.every((byte, i) => byte === b[i]);
}

/** Let a moment be what is seen, as soon as it is evaluated. @param {View} view @param {Moment} moment */
export function evaluate(view, moment) {
  view.evaluation.moment = moment;
  goOn(view);
}

/** The same, of which there is a picture. @param {View} view @param {Moment} moment @param {Picture} picture */
export function adopt(view, moment, picture) {
  if (!moment.weights) forgetEvaluation(view);
  else Object.assign(view.evaluation, { moment, of: moment, picture, sharpening: null });
  show(view, picture);
  goOn(view);
}

/** Nothing is to be evaluated. @param {View} view */
export function forgetEvaluation({ evaluation }) {
  clearTimeout(evaluation.timer);
  Object.assign(evaluation, { moment: null, of: null, picture: null, sharpening: null });
}

/** @param {View} view */
export function closeEvaluation(view) {
  forgetEvaluation(view);
  view.evaluation.evaluator?.close();
}

/** What is to be seen of the flow now. @param {View} view @returns {Needs} */
export function needsOf(view) {
  const { scene, zoom, layers, shows, probe } = view;
  /** @type {(side: [number, number], axis: Axis) => [number, number]} */
  const toFlow = ([from, to], { centre, scale }) => [(from - centre) / scale, (to - centre) / scale];
  const [first, second] = scene.axes;
  return {
    window: scene.window, part: zoom.data ? [toFlow(zoom.data[0], first), toFlow(zoom.data[1], second)] : null,
    ways: shows === "latent", samples: layers.data.samples,
    believed: shows === "believed" && Boolean(scene.belief), believedBy: JSON.stringify(scene.belief), point: probe.x,
  };
}

/** Ask for what comes next, if there is something. @param {View} view */
export function goOn(view) {
  /** @type {Evaluation} */
  const evaluation = view.evaluation;
  const { moment, of, isBusy, isRefused } = evaluation;
  if (!moment || isBusy || isRefused || document.hidden || !view.root.isConnected) return;
  clearTimeout(evaluation.timer);
  const needs = needsOf(view);
  const picture = of === moment ? evaluation.picture : null;
  if (picture && picture.believedBy !== needs.believedBy) picture.believed = null;
  const ability = evaluation.evaluator?.ability();
  const moving = ability?.moving ?? COARSE;
  const lacks = missing(needs, picture, view.pulse.isTight ? Math.min(moving, FEW) : moving);
  const rows = ability ? Math.ceil((STRIPE_MS * COARSE ** 2) / (Math.max(ability.milliseconds, 0.1) * SHARP)) : 1;
  const wants = lacks ?? (picture && !moves(view) ? sharper(needs, picture, evaluation.sharpening, rows) : null);
  if (!wants) return;
  const wait = picture || !moves(view) ? 0 : evaluation.rest - performance.now();
  if (wait > 0) evaluation.timer = setTimeout(() => goOn(view), wait);
  else ask(view, moment, needs, wants);
}

/** @param {View} view @param {Moment} moment @param {Needs} needs @param {Wants} wants */
async function ask(view, moment, needs, wants) {
  /** @type {Evaluation} */
  const evaluation = view.evaluation;
  const [wasPast, began] = [isPast(view), performance.now()];
  const { run } = view.scene; // a moment of its film may be of the run that it goes on from
  evaluation.isBusy = true;
  try {
    evaluation.evaluator ??= openEvaluator();
    if (evaluation.taken !== moment) evaluation.evaluator.take(/** @type {ArrayBuffer} */ (moment.weights));
    evaluation.taken = moment;
    const found = await inTime(foundOf(evaluation.evaluator, wants, view.scene));
    const refusal = evaluation.evaluator.refuses();
    evaluation.slow = refusal ? evaluation.slow + 1 : 0;
    if (evaluation.slow > MOST_SLOW) throw new Error(refusal);
    if (found && evaluation.moment && run === view.scene.run && wasPast === isPast(view)) {
      take(view, moment, needs, found);
    }
  } catch (error) {
    refuse(view, /** @type {Error} */ (error).message);
  } finally {
    evaluation.isBusy = false;
    const now = performance.now();
    const apart = isCalm() ? CALM_APART_MS : APART_MS;
    evaluation.rest = Math.max(began + apart, now + (now - began) * (1 / MOST_SHARE - 1));
  }
  goOn(view);
}

/**
 * What is worked out, unless that takes so long that nobody waits for it.
 * @template T
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
function inTime(work) {
  /** @type {ReturnType<typeof setTimeout>} */
  let timer;
  const late = new Promise((_, reject) => {
    const late = () => reject(new Error(`It takes this browser more than ${MOST_SECONDS} s.`));
    timer = setTimeout(late, 1000 * MOST_SECONDS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/**
 * All that is wanted of the flow that was taken; null where a later request has taken the place of one.
 * @param {Evaluator} evaluator
 * @param {Wants} wants
 * @param {Scene} scene
 * @returns {Promise<Found | null>}
 */
async function foundOf(evaluator, { densities, linePoints, samples, point }, scene) {
  const data = decodeFloats(scene.points);
  const lines = linePoints ? gridLines(scene.window, linePoints) : new Float32Array(0);
  const isBelief = (/** @type {Nodes} */ { kind }) => kind.startsWith("believed");
  const estimator = /** @type {Estimator} */ (scene.belief); // of which there is one where a belief is wanted
  const [ours, beliefs, stages, drawn, terms] = await Promise.all([
    inTurn(densities.filter((nodes) => !isBelief(nodes)), (grid) => evaluator.density(grid)),
    inTurn(densities.filter(isBelief), (grid) => evaluator.belief({ ...grid, estimator })),
    linePoints ? evaluator.stages(joined(data, lines)) : null,
    samples ? evaluator.samples(noiseOf(SAMPLES)) : null,
    point ? evaluator.terms(point) : null,
  ]);
  if (!ours || !beliefs || (linePoints && !stages) || (samples && !drawn) || (point && !terms)) return null;
  return {
    densities: [...ours, ...beliefs],
    ways: stages && { count: stages.count, ...waysOf(stages.stages, stages.count, data.length) },
    samples: drawn && { points: drawn.refusal ? null : Float32Array.from(drawn.points), refusal: drawn.refusal },
    terms,
  };
}

/**
 * One after the other: an evaluator answers the newest request of a kind alone. Null where one has no answer.
 * @param {Nodes[]} all
 * @param {(grid: {window: Window, columns: number, rows: number}) => Promise<{logProb: Numbers} | null>} ask
 */
async function inTurn(all, ask) {
  const found = [];
  for (const nodes of all) {
    const { window, columns, rows } = nodes;
    const answer = await ask({ window, columns, rows });
    if (!answer) return null;
    found.push({ nodes, values: densitiesOf(answer.logProb) });
  }
  return found;
}

/** @param {Float32Array} one @param {Float32Array} other */
function joined(one, other) {
  const both = new Float32Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

/**
 * The stages of points and of what follows them, apart.
 * @param {Float32Array | Float64Array} stages
 * @param {number} count
 * @param {number} first numbers of the points
 */
function waysOf(stages, count, first) {
  const size = stages.length / count;
  const [points, lines] = [new Float32Array(count * first), new Float32Array(count * (size - first))];
  for (let k = 0; k < count; k++) {
    points.set(stages.subarray(k * size, k * size + first), k * first);
    lines.set(stages.subarray(k * size + first, (k + 1) * size), k * (size - first));
  }
  return { points, lines };
}

/**
 * A straight grid over a window: upright lines, then level ones, with so many points each.
 * @param {Window} window
 * @param {number} points
 */
export function gridLines([[x0, x1], [y0, y1]], points) {
  const found = new Float32Array(4 * LINES * points);
  let at = 0;
  const put = (/** @type {number} */ u, /** @type {number} */ v) => {
    found[at++] = x0 + u * (x1 - x0);
    found[at++] = y0 + v * (y1 - y0);
  };
  for (let line = 0; line < LINES; line++) {
    for (let k = 0; k < points; k++) put(line / (LINES - 1), k / (points - 1));
  }
  for (let line = 0; line < LINES; line++) {
    for (let k = 0; k < points; k++) put(k / (points - 1), line / (LINES - 1));
  }
  return found;
}

/** What was found is drawn. @param {View} view @param {Moment} moment @param {Needs} needs @param {Found} found */
function take(view, moment, needs, found) {
  /** @type {Evaluation} */
  const evaluation = view.evaluation;
  if (evaluation.of === moment && evaluation.picture) {
    improve(evaluation, evaluation.picture, needs, found);
    if (view.picture !== evaluation.picture) return;
    showRefusals(view);
    view.colourTop = moves(view) ? view.colourTop : Math.max(evaluation.picture.density.top, Number.MIN_VALUE);
    paintPlanes(view);
    showProbe(view);
    return;
  }
  const field = { values: new Float32Array(0), rows: 0, columns: 0 };
  /** @type {Picture} */
  const picture = {
    step: moment.step,
    density: { field, top: 0, part: null },
    believed: null,
    ways: null,
    samples: null,
    refusal: "",
    terms: null,
  };
  Object.assign(evaluation, { of: moment, picture, sharpening: null });
  improve(evaluation, picture, needs, found);
  pace(view);
  show(view, picture);
  play(view);
}

/** Pictures turn into one another as fast as they come. @param {View} view */
export function pace(view) {
  const now = performance.now();
  const apart = Math.max(SPACING[0], Math.min(SPACING[1], now - view.evaluation.cameAt));
  view.spacing += 0.3 * (apart - view.spacing);
  view.evaluation.cameAt = now;
}

/** @param {Evaluation} evaluation @param {Picture} picture @param {Needs} needs @param {Found} found */
function improve(evaluation, picture, needs, { densities, ways, samples, terms }) {
  const wholeFirst = (/** @type {{nodes: Nodes}} */ { nodes }) => Number(nodes.kind.endsWith("part"));
  for (const { nodes, values } of densities.toSorted((one, other) => wholeFirst(one) - wholeFirst(other))) {
    const { kind } = nodes;
    if (nodes.rows === nodes.columns) put(picture, nodes, values);
    else {
      const whole = wholeOf(needs, kind);
      evaluation.sharpening = continued(evaluation.sharpening, whole, values);
      if (evaluation.sharpening.rows < SHARP) continue;
      put(picture, { ...whole, rows: SHARP, columns: SHARP }, evaluation.sharpening.values);
      evaluation.sharpening = null;
    }
  }
  picture.believedBy = needs.believedBy;
  if (ways) picture.ways = { first: 0, linePoints: ways.lines.length / (ways.count * 4 * LINES), ...ways };
  if (samples) Object.assign(picture, { samples: samples.points, refusal: samples.refusal });
  if (terms) picture.terms = { ...terms, x: /** @type {[number, number]} */ (needs.point) };
}

/** @param {Picture} picture @param {Nodes} nodes @param {Float32Array} values */
function put(picture, { kind, window, rows, columns }, values) {
  /** @type {Field} */
  const field = { values, rows, columns };
  const name = kind.startsWith("believed") ? "believed" : "density";
  if (kind.endsWith("part")) {
    const density = densityOf(kind, picture);
    if (density) picture[name] = { ...density, part: { window, field } };
  } else {
    picture[name] = { field, top: topOf(field), part: densityOf(kind, picture)?.part ?? null };
  }
}

/** A belief can be infinite, which is no number to draw. @param {Float32Array | Float64Array} logProb */
function densitiesOf(logProb) {
  const found = new Float32Array(logProb.length);
  for (let i = 0; i < found.length; i++) found[i] = logProb[i] < LARGEST ? Math.exp(logProb[i]) : NaN;
  return found;
}

/** This browser cannot draw the flow: the server shall. @param {View} view @param {string} why */
function refuse(view, why) {
  view.evaluation.isRefused = true;
  view.refused = why;
  forgetEvaluation(view);
  if (!askByChannel(view, { plain: true })) view.setState("plain", true);
  showRefusals(view);
}

/** Another flow: this browser may well be able to draw it. @param {View} view */
export function tryAgain(view) {
  forgetEvaluation(view);
  if (!view.evaluation.isRefused) return;
  Object.assign(view.evaluation, { isRefused: false, slow: 0 });
  view.refused = "";
  if (!askByChannel(view, { plain: false })) view.setState("plain", false);
}
