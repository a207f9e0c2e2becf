// Time: the loss is the time line of the run. A hand drags the line over it, or the loss itself as long as the whole of
// it is shown, and the planes show what is kept of that step (`film.js`); arrows and Home and End do the same. What is
// shown then is an earlier moment: `view.time.shown`, null for the newest, which comes in meanwhile and waits.
//
// The server is told of a moment when a hand has come to rest ("moment", the component's state): it pauses the run, and
// lets Play go on from there.

import { partOf, partOfKind } from "../part.js";
import { draw, paint, showWords } from "./clock.js";
import { halt, lastStage, placeOf, stageName } from "./depth.js";
import { zoom } from "./element.js";
import { adopt } from "./evaluation.js";
import { filmOf, keepMoment, keepNumbers, nearest, newFilm } from "./film.js";
import { buttonsOf, isChord, press } from "./keys.js";
import { pauseReplay, replay, stopReplay } from "./replay.js";
import { rememberView } from "./view.js";
import { say, showReadouts, tag } from "./words.js";

/** @import { Moment } from "./film.js" */
/** @import { PaneName, Time, TimeBar, View } from "./types.js" */
/** @import { Said } from "./words.js" */

const REST_MS = 400; // of a hand, until the server is told
const DRAG = 4; // pixels that a press may move and not be a drag
const PAGE = 10; // pictures that Page Up and Page Down go

/**
 * What a view knows of time; the elements are added where it is mounted.
 * @type {() => Omit<Time, "line" | "future" | "bar">}
 */
export const newTime = () => ({
  shown: null, // the earlier moment; null: the newest
  now: null, // while an earlier one is shown: the newest moment that there is a picture of, and that
  film: newFilm(), replay: null, told: null /* to the server */, timer: undefined,
});

/**
 * Whether an earlier moment is shown.
 * @type {(view: View) => boolean}
 */
export const isPast = (view) => view.time.shown !== null;
/** @type {(step: number) => string} */
const steps = (step) => step.toLocaleString("en");

/**
 * The kept moments before the newest, and it.
 * @type {(view: View) => Moment[]}
 */
export function momentsOf({ newest, time }) {
  return newest ? [...time.film.moments.filter(({ step }) => step < newest.step), newest] : [];
}

/**
 * The step at which the line stands; the picture of it may still be on its way.
 * @type {(view: View) => number}
 */
const stepShown = ({ time: { shown }, picture }) => (shown ?? picture)?.step ?? 0;

/**
 * The place among these of what is shown.
 * @type {(view: View, moments?: Moment[]) => number}
 */
export function momentShown(view, moments = momentsOf(view)) {
  const { shown } = view.time;
  return shown ? nearest(moments.slice(0, -1), shown.step) : moments.length - 1;
}

/**
 * A scene of another timeline begins.
 * @type {(view: View) => void}
 */
export function startTime(view) {
  stopReplay(view);
  clearTimeout(view.time.timer);
  const film = filmOf(view.scene.run, view.scene.time?.continues);
  Object.assign(view.time, { film, shown: null, now: null, told: null });
  view.root.dataset.time = "now";
}

/**
 * A scene has been taken up: what it measured is kept.
 * @type {(view: View) => void}
 */
export function takeTime(view) {
  keepNumbers(view.time.film, view.scene.readouts);
  nameTheViews(view);
  // The server still knows of a moment that a picture before this one had shown.
  if (!view.time.told && Number.isInteger(view.scene.time?.moment)) tellMoment(view, null);
}

/** @type {(view: View, moments: Moment[]) => void} */
export const keepMoments = (view, moments) => moments.forEach((moment) => keepMoment(view.time.film, moment));

/**
 * Show the moment at a place among `moments`; the last is the newest.
 * @type {(view: View, place: number, moments?: Moment[]) => void}
 */
export function goTo(view, place, moments = momentsOf(view)) {
  stopReplay(view);
  const last = moments.length - 1;
  if (last < 1) return;
  if (place >= last) leavePast(view);
  else showMoment(view, moments[Math.max(0, place)]);
}

/** @type {(view: View, step: number) => void} */
function enterPast(view, step) {
  halt(view);
  const { picture, evaluation: { of }, depth: { wanted } } = view;
  view.time.now = { picture, moment: of ?? view.newest, depth: wanted };
  Object.assign(view, { before: null, share: 1 });
  tellMoment(view, { run: view.scene.run, step }); // at once: the run is paused by it
}

/**
 * Draw a kept moment.
 * @type {(view: View, moment: Moment) => void}
 */
export function showMoment(view, moment) {
  const { time } = view;
  if (!isPast(view)) enterPast(view, moment.step);
  if (time.shown === moment) return;
  time.shown = moment;
  draw(view, moment);
  showTime(view);
  if (!time.replay) tellLater(view);
}

/**
 * The picture of an earlier moment has come: what stands around the planes speaks of it.
 * @type {(view: View) => void}
 */
export function nameMoment(view) {
  showReadouts(view);
  nameTheViews(view);
  showTime(view);
}

/**
 * Back to the newest moment.
 * @type {(view: View) => void}
 */
export function leavePast(view) {
  const { time: { now }, newest } = view;
  if (!now || !newest) return;
  stopReplay(view);
  Object.assign(view.time, { shown: null, now: null });
  Object.assign(view, { before: null, share: 1, isCut: true }); // nothing glides from the past to the newest
  if (!newest.weights) { // a frame has changed the depth
    view.depth.wanted = now.depth;
    view.depth.at = now.depth ?? view.depth.at;
  }
  if (newest === now.moment && now.picture) adopt(view, newest, now.picture);
  else draw(view, newest);
  showWords(view);
  nameTheViews(view);
  showTime(view);
  rememberView(view);
  tellMoment(view, null);
}

/**
 * The server hears which moment is shown; null: the newest.
 * @type {(view: View, moment: Time["told"]) => void}
 */
function tellMoment(view, moment) {
  clearTimeout(view.time.timer);
  view.time.told = moment;
  view.setState("moment", moment);
}

/** @type {(view: View) => void} */
function tellLater(view) {
  clearTimeout(view.time.timer);
  view.time.timer = setTimeout(() => tellNow(view), REST_MS);
}

/**
 * What is shown, unless the server knows it.
 * @type {(view: View) => void}
 */
export function tellNow(view) {
  const { time, scene, root } = view;
  if (!time.shown || !root.isConnected) return;
  const moment = { run: scene.run, step: time.shown.step };
  if (JSON.stringify(moment) !== JSON.stringify(time.told)) tellMoment(view, moment);
}

/**
 * The large numbers of what is shown: those measured nearest to it, each with its step where that is another.
 * @type {(view: View) => Said[]}
 */
export function readoutsShown(view) {
  const { scene, time, picture } = view;
  if (!isPast(view) || !picture) return scene.readouts;
  return scene.readouts.map((now) => {
    const list = /** @type {(Said & { step: number })[]} */ (time.film.numbers[now.name] ?? []);
    const then = list[nearest(list, picture.step)];
    const { name, help, label } = now;
    if (!then) return { name, help, label, value: "", error: "", unit: "", word: "", note: "not kept for this moment" };
    return { ...then, name, help, label: then.step === picture.step ? label : `${label}, step ${steps(then.step)}` };
  });
}

/**
 * The held-out loss that was measured nearest to a step, in words; "" where there is none.
 * @type {(view: View, step: number) => string}
 */
function lossAt(view, step) {
  const { loss, loss_unit: unit } = view.scene;
  const all = (loss?.held_step ?? []).map((at, i) => ({ step: at, nll: loss?.held_nll[i] ?? null }));
  const held = all.filter(({ nll }) => nll !== null);
  const { step: at, nll = null } = held[nearest(held, step)] ?? {};
  if (at === undefined || nll === null) return "";
  return `held-out NLL ${nll.toFixed(2)} ${unit}${at === step ? "" : ` (step ${steps(at)})`}`;
}

/**
 * What a view shows, in words: `alt` for the newest picture.
 * @type {(view: View, name: PaneName, alt: string) => string}
 */
export function altOf(view, name, alt) {
  if (!isPast(view) || (name === "latent" && view.shows === "truth")) return alt;
  /** @type {Record<string, string>} */
  const spaces = { data: "Data space: density of the flow", loss: "Loss against steps, with a line" };
  /** @type {Record<string, string>} */
  const others = {
    difference: "The flow's density minus the true one", believed: "The density that training believed in",
  };
  const stage = Math.round(placeOf(view)?.at ?? lastStage(view));
  const second = others[view.shows] ?? `${stageName(view, stage)}: data and a straight grid`;
  const step = view.picture?.step ?? stepShown(view);
  const said = [`${spaces[name] ?? second}, at step ${steps(step)}, an earlier moment of this run`, lossAt(view, step)];
  return `${said.filter(Boolean).join("; ")}.`;
}

/** @type {(view: View) => void} */
function nameTheViews(view) {
  const { panes: { data, loss }, scene: { alt } } = view;
  tag(data.box, "aria-label", altOf(view, "data", alt.data));
  tag(loss.box, "aria-label", altOf(view, "loss", alt.loss));
}

/**
 * What stands beside the time line, as sentences.
 * @type {(view: View, isMovable: boolean) => [string, string]}
 */
function timeSaid(view, isMovable) {
  const { scene, newest } = view;
  if (!isPast(view)) {
    const from = scene.time?.continues;
    const branch = from ? `This run goes on from step ${steps(from.step)} of an earlier one. ` : "";
    return ["", branch + (isMovable ? "Drag the line over the loss to go back in time." : "")];
  }
  const step = stepShown(view);
  const first = `Step ${steps(step)} of ${steps(newest?.step ?? step)}`;
  const rest = scene.playing ? "" : "Training is paused. ";
  const before = (scene.time?.checkpoints ?? [0]).filter((one) => one <= step).at(-1) ?? 0;
  const again = before === step ? ""
    : ` The steps after ${before ? `the checkpoint at step ${steps(before)}` : "step 0"} are trained again.`;
  return [first, `${rest}“Continue from here” starts a new branch, and “Undo” brings this run back.${again}`];
}

/**
 * Bring the line, the slider and the words beside it up to date.
 * @type {(view: View) => void}
 */
export function showTime(view) {
  const { time, root, scene } = view;
  const moments = momentsOf(view);
  if (!scene || !view.picture || !moments.length) return;
  const isMovable = moments.length > 1;
  const newest = moments[moments.length - 1].step;
  const step = stepShown(view);
  const { line, bar } = time;
  tag(root, "data-time", isPast(view) ? "past" : "now");
  tag(root, "data-drags", dragsTime(view) ? "time" : "loss");
  tag(line, "aria-valuemin", Math.min(moments[0].step, step));
  tag(line, "aria-valuemax", newest);
  tag(line, "aria-valuenow", step);
  tag(line, "aria-disabled", !isMovable);
  const where = isPast(view) ? `step ${steps(step)} of ${steps(newest)}` : `step ${steps(step)}, the newest`;
  tag(line, "aria-valuetext", [where, lossAt(view, step)].filter(Boolean).join(", "));
  const [first, more] = timeSaid(view, isMovable);
  say(bar.first, [first, first && lossAt(view, step)].filter(Boolean).join(" · "));
  say(bar.more, more);
  say(partOf(bar.replay, "span"), time.replay ? "Pause" : "Replay");
  bar.now.hidden = !isPast(view);
  bar.on.hidden = !isPast(view) || root.dataset.columns !== "1"; // there Play is far away
  bar.whole.hidden = !view.zoom.loss;
  bar.replay.disabled = !isMovable;
  placeLine(view);
}

/**
 * The line reaches over the plot of the loss, wherever that is now.
 * @type {(view: View) => void}
 */
export function measureLine({ panes: { loss: { box, surface: { at, scale } } }, time: { line, future } }) {
  if (!at) return;
  const place = {
    left: `${box.offsetLeft + scale * at.left}px`, top: `${box.offsetTop + scale * at.top}px`,
    height: `${scale * at.height}px`,
  };
  Object.assign(line.style, place);
  Object.assign(future.style, { ...place, width: `${scale * at.width}px` });
}

/**
 * It stands at the step that is shown; at an end of the plot where that is beside it. Nothing is laid out for that.
 * @type {(view: View) => void}
 */
export function placeLine(view) {
  const { panes: { loss: { surface: { at, scale } } }, time: { line, future }, picture } = view;
  line.hidden = !at || !picture;
  future.hidden = line.hidden || !isPast(view);
  if (!at || line.hidden) return;
  const x = scale * (Math.max(at.left, Math.min(at.left + at.width, at.x(stepShown(view)))) - at.left);
  line.style.transform = `translateX(${x}px)`;
  future.style.clipPath = `inset(0 0 0 ${x}px)`;
}

/**
 * Where the whole loss is shown, a drag goes through time; where a part of it is, a drag moves that.
 * @type {(view: View) => boolean}
 */
const dragsTime = (view) => !view.zoom.loss && Boolean(view.picture);

/**
 * Listen to a hand at the line, at the loss, and to the keys of the line.
 * @type {(view: View) => void}
 */
export function mountTime(view) {
  const section = view.panes.loss.section;
  const [line, future] = [".live-line", ".live-future"].map((name) => partOf(section, name));
  /** @type {(name: string) => HTMLButtonElement} */
  const button = (name) => partOfKind(view.root, `button[data-time=${name}]`, HTMLButtonElement);
  /** @type {TimeBar} */
  const bar = {
    first: partOf(view.root, ".live-time [data-time=first]"), more: partOf(view.root, ".live-time [data-time=more]"),
    now: button("now"), on: button("on"), replay: button("replay"), whole: button("whole"),
    speed: partOfKind(view.root, "[data-time=speed]", HTMLSelectElement),
  };
  Object.assign(view.time, { line, future, bar });
  dragged(view, line, line, () => true);
  dragged(view, section, view.panes.loss.box, () => dragsTime(view));
  line.addEventListener("keydown", (event) => pressLine(view, event));
  bar.now.addEventListener("click", () => {
    leavePast(view);
    line.focus({ preventScroll: true });
  });
  bar.on.addEventListener("click", () => press("play"));
  bar.whole.addEventListener("click", () => {
    paint(view, zoom(view, "loss", null));
    line.focus({ preventScroll: true });
  });
  bar.replay.addEventListener("click", () => (view.time.replay ? pauseReplay(view) : replay(view)));
  const { signal } = view.gone;
  // A press of a button that goes on from the moment, before the server was told of it.
  const buttons = ["play", "step", "steps"].flatMap(buttonsOf).join();
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element && event.target.closest(buttons)) || !isPast(view)) return;
    stopReplay(view);
    tellNow(view);
  }, { signal, capture: true });
}

/**
 * A press within `part` of what `listens`, and how far it is dragged, is a way through time where it `may` be one.
 * @type {(view: View, listens: HTMLElement, part: HTMLElement, may: () => boolean) => void}
 */
function dragged(view, listens, part, may) {
  /** @type {{ id: number, x: number, moving: boolean } | null} */
  let from = null; // {id, x, moving}
  let request = 0;
  const end = () => { from = null; };
  /** @type {(event: PointerEvent) => void} */
  const scrub = ({ clientX }) => {
    const { surface, box } = view.panes.loss;
    if (!surface.at) return;
    const [step] = surface.at.atPixel((clientX - box.getBoundingClientRect().left) / surface.scale, 0);
    cancelAnimationFrame(request);
    request = requestAnimationFrame(() => {
      const moments = momentsOf(view);
      goTo(view, nearest(moments, step), moments);
    });
  };
  listens.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary) end(); // a second finger zooms
    if (event.button || !event.isPrimary || !part.contains(/** @type {Node} */ (event.target)) || !may()) return;
    from = { id: event.pointerId, x: event.clientX, moving: false };
    if (listens === part) listens.setPointerCapture(event.pointerId);
  }, { capture: true });
  listens.addEventListener("pointermove", (event) => {
    if (!from || event.pointerId !== from.id) return;
    from.moving ||= Math.abs(event.clientX - from.x) >= DRAG;
    if (!from.moving) return;
    event.stopPropagation();
    view.panes.loss.surface.tip.hidden = true;
    scrub(event);
  }, { capture: true });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) listens.addEventListener(name, end);
}

/** @type {(view: View, event: KeyboardEvent) => void} */
function pressLine(view, event) {
  if (isChord(event) || event.shiftKey) return;
  const moments = momentsOf(view);
  const at = momentShown(view, moments);
  /** @type {Record<string, number>} */
  const places = {
    ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - PAGE, PageUp: at + PAGE,
    Home: 0, End: Infinity,
  };
  if (!(event.key in places)) return;
  event.preventDefault();
  goTo(view, places[event.key], moments);
}
