// The clock: what comes of a flow is shown one picture after the other, and each turns into the next.

import { isCalm } from "../canvas/page.js";
import { drawPicture } from "../canvas/plane.js";
import { bytesOf } from "../canvas/unpack.js";
import { shareAt } from "../flow/between.js";
import { listenToChannel } from "./channel.js";
import { adoptDepth, askForDepth, keepDepth, lastStage, showDepth, stepName } from "./depth.js";
import { fit } from "./element.js";
import { evaluate, forgetEvaluation, goOn, pace, takeWeights, tryAgain } from "./evaluation.js";
import { showHint } from "./hints.js";
import { paneLoss } from "./loss.js";
import { painterOf, receiveParts } from "./parts.js";
import { mixedDensity, mixed, mixedPicture, pictureOfFrame } from "./picture.js";
import { paneData, paneSecond } from "./planes.js";
import { pulseAt } from "./pulse.js";
import { arriveAt, keepProbe } from "./probe.js";
import { readTheme } from "./theme.js";
import { isPast, keepMoments, measureLine, nameMoment, placeLine, showTime, startTime, takeTime } from "./time.js";
import { rememberView } from "./view.js";
import { say, showChoices, showClasses, showReadouts, showRefusals, showStep, tag } from "./words.js";

/** @import { Frame, Density, Picture } from "./picture.js" */
/** @import { Moment } from "./film.js" */
/** @import { LiveTheme, PaneName, Painter, Scene, View } from "./types.js" */

const WRITTEN_MS = 100; // after a picture its step is an attribute of the page
const EASE = 0.2; // share of the way the colour range goes to its target with each frame
/** @type {Record<PaneName, Painter>} */
export const painters = { data: paneData, latent: paneSecond, loss: paneLoss };

/**
 * Draw these panes in the colours of the page, or in a `theme` that was read before: each scene reads it anew. Where
 * the clock draws nothing has another size.
 * @type {(view: View, names: PaneName[], theme?: LiveTheme, isResting?: boolean) => void}
 */
export function paint(view, names, theme = (view.theme = readTheme(view.root)), isResting = false) {
  if (!view.scene || !view.size || !view.root.isConnected) return;
  const began = performance.now();
  if (view.gridColour !== theme.grid) view.root.style.setProperty("--grid", (view.gridColour = theme.grid));
  for (const name of names) {
    const picture = painterOf(view, name)(view, theme);
    drawPicture(view.panes[name].surface, picture, theme, isResting);
    if (name === "data")
      view.root.dispatchEvent(new CustomEvent("resflow-density", { bubbles: true, detail: picture }));
  }
  view.drawing += performance.now() - began;
  if (!names.includes("loss")) return;
  measureLine(view);
  showTime(view);
}

/**
 * All that may follow from a new scene, another view or a truth that has come; the panes apart.
 * @type {(view: View) => void}
 */
export function showWords(view) {
  showChoices(view);
  showReadouts(view);
  showClasses(view, readTheme(view.root));
  showDepth(view);
  showHint(view);
  showRefusals(view);
}

/**
 * The density of the picture, whose colours end where they were led.
 * @type {(view: View, picture: Picture) => Density}
 */
const ledDensity = ({ colourTop }, { density }) => ({ ...density, top: colourTop });

/**
 * The density of the picture on its way, where its colours end, and what is seen of it closely.
 * @type {(view: View, picture: Picture) => Density}
 */
export const drawnDensity = (view, picture) =>
  mixedDensity(view.before?.density, ledDensity(view, picture), view.share);

/**
 * The density that training believes in, on its way; null where it is not known.
 * @type {(view: View, picture: Picture) => Density | null}
 */
export const drawnBelief = ({ before, share }, { believed }) =>
  believed && mixedDensity(before?.believed ?? undefined, believed, share);

/**
 * Its samples on their way; null where it has none.
 * @type {(view: View, picture: Picture) => Float32Array | null}
 */
export const drawnSamples = ({ before, share }, { samples }) =>
  samples && mixed(before?.samples, samples, share);

/**
 * What is drawn now, for the next picture to begin from.
 * @type {(view: View) => Picture | null}
 */
function drawnNow(view) {
  const { picture, before, share } = view;
  if (!picture || !moves(view) || isCalm()) return null;
  return mixedPicture(before, { ...picture, density: ledDensity(view, picture) }, share);
}

/**
 * Whether one picture follows the other.
 * @type {(view: View) => boolean}
 */
export const moves = (view) => Boolean(isPast(view) ? view.time.replay : view.scene.playing);

/**
 * Let a moment be what is drawn: a frame at once, weights as soon as they are evaluated.
 * @type {(view: View, moment: Moment) => void}
 */
export function draw(view, moment) {
  if (moment.weights) {
    evaluate(view, moment);
    return;
  }
  forgetEvaluation(view);
  const { frame } = moment;
  if (!frame) return;
  if (isPast(view)) view.depth.wanted = view.depth.at = frame.depth ?? lastStage(view); // it has no other
  pace(view);
  show(view, pictureOfFrame(frame, view.scene));
  play(view);
}

/**
 * A newer moment has come; an earlier one that is shown stays.
 * @type {(view: View, moment: Moment) => void}
 */
export function take(view, moment) {
  view.newest = moment;
  if (isPast(view)) showTime(view);
  else draw(view, moment);
}

/**
 * Let a picture take the place of the one before. Where the colours end follows slowly.
 * @type {(view: View, picture: Picture) => void}
 */
export function show(view, picture) {
  const before = view.isCut ? null : drawnNow(view);
  const isFirst = !view.picture;
  const target = Math.max(picture.density.top, Number.MIN_VALUE);
  view.colourTop = before ? before.density.top * (target / before.density.top) ** EASE : target;
  if (view.depth.wanted === null) adoptDepth(view);
  Object.assign(view, { before, picture, began: performance.now(), share: before ? 0 : 1, isCut: false });
  if (view.panes.data.caption) say(view.panes.data.caption, stepName(picture.step));
  showStep(view);
  paintPlanes(view);
  showRefusals(view);
  if (isPast(view)) nameMoment(view);
  else if (isFirst || !moves(view)) showTime(view); // no loss comes after the last picture of a run
  else placeLine(view);
  showDepth(view);
  view.frames += 1;
  writeLater(view);
}

/**
 * Streamlit's style sheets have attributes of the page within `:has`: written with each picture they take most of the
 * time.
 * @type {(view: View) => void}
 */
function writeLater(view) {
  view.writing ||= setTimeout(() => {
    view.writing = undefined;
    tag(view.root, "data-step", view.picture?.step ?? "");
    tag(view.root, "data-frames", view.frames);
  }, WRITTEN_MS);
}

/**
 * What moves with the flow.
 * @type {(view: View) => void}
 */
export function paintPlanes(view) {
  paint(view, movingPlanes(view), view.theme, true);
}

/**
 * A glide draws by itself.
 * @type {(view: View) => PaneName[]}
 */
const movingPlanes = (view) => (view.shows === "truth" || view.depth.request ? ["data"] : ["data", "latent"]);

/**
 * One animation frame of the clock: runs while one picture turns into the next, rests otherwise.
 * @type {(view: View) => void}
 */
function tick(view) {
  if (view.share >= 1 || !view.root.isConnected) {
    view.ticking = false;
    return;
  }
  requestAnimationFrame(() => tick(view));
  const now = performance.now();
  view.pulse = pulseAt(view.pulse, now);
  if (now < view.rest) return;
  view.share = shareAt(now, view.began, view.spacing);
  const names = movingPlanes(view);
  const isWhole = view.share === 1 || names.length < 2 || !view.pulse.isTight;
  paint(view, isWhole ? names : [names[view.pulse.count % 2]], view.theme, true);
  view.rest = 2 * performance.now() - now; // drawing gets at most half of the time
}

/** @type {(view: View) => void} */
export function play(view) {
  if (view.ticking) return;
  view.ticking = true;
  view.pulse.at = performance.now();
  tick(view);
}

/** @type {(one: unknown, other: unknown) => boolean} */
const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/**
 * A frame of the server's has come. Of an edited flow, or at another depth, another may come of the same step.
 * @type {(view: View, frame: Frame) => void}
 */
export function takeFrame(view, frame) {
  const { newest, scene: { run }, evaluation, last } = view;
  if (frame.step < last || isSame(frame, newest?.frame)) return;
  if (frame.step === last && newest?.weights && !evaluation.isRefused) return; // another page wanted it
  view.last = frame.step;
  const moment = { run, step: frame.step, frame };
  keepMoments(view, [moment]);
  take(view, moment);
}

/** @type {(view: View, scene: Scene) => void} */
export function receive(view, scene) {
  const before = view.scene;
  // What is the same is not unpacked again.
  if (before && isSame(before.points, scene.points)) scene.points = before.points;
  if (before && isSame(before.labels, scene.labels)) scene.labels = before.labels;
  view.scene = scene;
  if (before?.run !== scene.run) startRun(view, before);
  if (scene.weights && scene.weights !== before?.weights) takeWeights(view, bytesOf(scene.weights).buffer);
  else if (view.early) takeWeights(view, view.early);
  if (scene.frame) takeFrame(view, scene.frame);
  paint(view, ["data", "latent"]); // the theme or the data may be new
  fit(view);
  paint(view, ["loss"]);
  if (view.shows === "believed" && (!scene.belief || view.newest?.frame)) view.shows = "latent";
  askForDepth(view);
  listenToChannel(view);
  arriveAt(view, scene.at);
  showWords(view);
  takeTime(view);
  receiveParts(view);
  goOn(view);
  play(view);
}

/** @type {(view: View, before: Scene | undefined) => void} */
function startRun(view, before) {
  view.last = -1;
  view.newest = view.picture = view.before = null;
  if (before?.run.split(":")[0] === view.scene.run.split(":")[0]) forgetEvaluation(view);
  else tryAgain(view);
  view.share = 1;
  for (const { caption } of Object.values(view.panes)) if (caption) caption.textContent = "";
  view.root.dataset.run = view.scene.run;
  view.root.dataset.step = "";
  view.zoom = before ? {} : view.recalled;
  if (before) keepDepth(view, before.blocks);
  keepProbe(view, before);
  startTime(view);
  if (!view.scene.truth && view.shows !== "believed") view.shows = "latent";
  if (before) rememberView(view);
}
