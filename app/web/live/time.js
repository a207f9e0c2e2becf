// Time: the loss is the time line of the run. A hand drags the line over it, or the loss itself as long as the whole of
// it is shown, and the planes show what is kept of that step (`film.js`); arrows and Home and End do the same. What is
// shown then is a moment: `view.time.shown`, null for the newest picture, which comes in meanwhile and waits.
//
// The server is told of a moment when a hand has come to rest ("moment", the component's state): it pauses the run, and
// lets Play go on from there. It is asked for the flow itself where somebody wants what the film does not have: another
// depth, or a part of a plane. `scene.time.glimpse` is the answer.

import { paint, paintPlanes, show, showWords } from "./clock.js";
import { halt, lastStage, placeOf, showDepth, stageName, stepName } from "./depth.js";
import { zoom } from "./element.js";
import { filmOf, keepNumbers, keepPicture, nearest, newFilm } from "./film.js";
import { buttonsOf, isChord, press } from "./keys.js";
import { pauseReplay, replay, stopReplay } from "./replay.js";
import { rememberView } from "./view.js";
import { say, showReadouts, tag } from "./words.js";

const REST_MS = 400; // of a hand, until the server is told
const DRAG = 4; // pixels that a press may move and not be a drag
const WRITTEN_MS = 100; // after the last picture its step is an attribute of the page
const PAGE = 10; // pictures that Page Up and Page Down go

/** What a view knows of time; the elements are added where it is mounted. */
export const newTime = () => ({
  shown: null, // the earlier picture; null: the newest
  at: 0, // the step that was asked for: of a glimpse that could not be had, another is shown
  now: null, // the newest picture while an earlier one is shown, and its samples
  film: newFilm(), replay: null, told: null /* to the server */, timer: 0, writing: 0,
  wish: null, glimpsed: null, // the step of which more is asked for, and what the server has found
});

/** Whether an earlier moment is shown. */
export const isPast = (view) => view.time.shown !== null;
const steps = (step) => step.toLocaleString("en");

/** The newest picture, whatever is shown. */
const newestOf = (view) => (isPast(view) ? view.time.now.picture : view.picture);

/** The kept pictures before the newest, and it. */
export function momentsOf(view) {
  const newest = newestOf(view);
  if (!newest) return [];
  return [...view.time.film.pictures.filter(({ step }) => step < newest.step), newest];
}

/** The place among these of what is shown. */
export function momentShown(view, moments = momentsOf(view)) {
  return isPast(view) ? nearest(moments.slice(0, -1), view.time.at) : moments.length - 1;
}

/** A scene of another timeline begins. */
export function startTime(view) {
  stopReplay(view);
  clearTimeout(view.time.timer);
  const film = filmOf(view.scene.run, view.scene.time?.continues);
  Object.assign(view.time, { film, shown: null, now: null, told: null, wish: null, glimpsed: null });
  view.root.dataset.time = "now";
}

/** A scene has been taken up: what it measured is kept, and what was asked for is shown. */
export function takeTime(view) {
  keepNumbers(view.time.film, view.scene.readouts);
  nameTheViews(view);
  // The server still knows of a moment that a picture before this one had shown.
  if (!view.time.told && Number.isInteger(view.scene.time?.moment)) tellMoment(view, null);
  const glimpse = view.scene.time?.glimpse;
  if (glimpse && isPast(view) && view.time.wish === glimpse.asked) showGlimpse(view, glimpse);
}

export const keepPictures = (view, frames) => frames.forEach((frame) => keepPicture(view.time.film, frame));

/** A newer picture while an earlier one is shown. */
export function hold(view, frame) {
  view.time.now = { picture: frame, samples: frame.samples ?? view.time.now.samples };
  showTime(view);
}

/** Show the moment at a place among `moments`; the last is the newest. */
export function goTo(view, place, moments = momentsOf(view)) {
  stopReplay(view);
  const last = moments.length - 1;
  if (last < 1) return;
  if (place >= last) leavePast(view);
  else showMoment(view, moments[Math.max(0, place)]);
}

function enterPast(view, step) {
  const waiting = view.queue.splice(0).at(-1);
  halt(view);
  const now = { picture: view.picture, samples: view.samples };
  Object.assign(view.time, { now, depth: view.depth.wanted, at: step });
  if (waiting) view.time.now.picture = waiting;
  tellMoment(view, { run: view.scene.run, step, asks: false }); // at once: the run is paused by it
}

/** Draw a kept picture, or what leads to it: `before`, and the `share` of the way. */
export function showMoment(view, picture, before = null, share = 1) {
  if (!isPast(view)) enterPast(view, picture.step);
  const isNew = view.time.shown !== picture;
  Object.assign(view.time, { shown: picture, at: picture.step, wish: null, glimpsed: null });
  drawMoment(view, picture, before, share);
  if (isNew && !view.time.replay) tellLater(view);
}

function drawMoment(view, picture, before, share) {
  const isNew = view.picture !== picture;
  const own = picture.depth ?? lastStage(view);
  Object.assign(view, { picture, before, share, samples: picture.samples ?? null });
  view.colourTop = Math.max(picture.density_top, Number.MIN_VALUE);
  if (isNew) {
    view.arrived = {};
    if (!picture.stages) view.depth.wanted = view.depth.at = own;
    say(view.panes.data.caption, stepName(picture.step));
    showReadouts(view);
  }
  paintPlanes(view);
  if (isNew) {
    showDepth(view);
    nameTheViews(view);
    showTime(view);
    // Streamlit's style sheets have this attribute within `:has`: written with each picture it takes most of the time.
    clearTimeout(view.time.writing);
    view.time.writing = setTimeout(() => tag(view.root, "data-step", view.picture?.step ?? ""), WRITTEN_MS);
  }
}

/** Back to the newest picture. */
export function leavePast(view) {
  if (!isPast(view)) return;
  stopReplay(view);
  const { now, depth } = view.time;
  Object.assign(view.time, { shown: null, now: null, wish: null, glimpsed: null });
  view.depth.wanted = view.depth.at = depth;
  Object.assign(view, { samples: now.samples, before: null });
  view.picture = null; // nothing glides from the past to the newest
  show(view, now.picture);
  showWords(view);
  nameTheViews(view);
  showTime(view);
  rememberView(view);
  tellMoment(view, null);
}

/** The server hears which moment is shown; null: the newest. */
function tellMoment(view, moment) {
  clearTimeout(view.time.timer);
  view.time.told = moment;
  view.setState("moment", moment);
}

function tellLater(view) {
  clearTimeout(view.time.timer);
  view.time.timer = setTimeout(() => tellNow(view), REST_MS);
}

/** What is shown, unless the server knows it. */
export function tellNow(view) {
  const { time, scene, root } = view;
  if (!isPast(view) || !root.isConnected) return;
  const moment = { run: scene.run, step: time.at, asks: time.wish !== null };
  if (JSON.stringify(moment) !== JSON.stringify(time.told)) tellMoment(view, moment);
}

/** Somebody wants what the film does not have. */
export function askForGlimpse(view) {
  if (!isPast(view) || view.time.wish !== null) return;
  stopReplay(view);
  view.time.wish = view.time.at;
  tellLater(view);
  showTime(view);
}

/** Show the flow that the server has found for a moment, as far as it is known. */
function showGlimpse(view, glimpse) {
  const isNew = !view.time.glimpsed?.still && glimpse.still;
  view.time.glimpsed = glimpse;
  if (isNew) {
    view.time.shown = glimpse.still;
    drawMoment(view, glimpse.still, null, 1);
  }
  showReadouts(view);
  showTime(view);
}

/** The large numbers of what is shown: those measured nearest to it, each with its step where that is another. */
export function readoutsShown(view) {
  const { scene, time, picture } = view;
  if (!isPast(view)) return scene.readouts;
  const found = time.glimpsed?.still ? time.glimpsed.readouts : [];
  return scene.readouts.map((now) => {
    const list = time.film.numbers[now.name] ?? [];
    const own = found.find(({ name, value }) => name === now.name && value);
    const then = own ?? list[nearest(list, picture.step)];
    const { name, help, label } = now;
    if (!then) return { name, help, label, value: "", error: "", unit: "", word: "", note: "not kept for this moment" };
    return { ...then, name, help, label: then.step === picture.step ? label : `${label}, step ${steps(then.step)}` };
  });
}

/** The held-out loss that was measured nearest to a step, in words; "" where there is none. */
function lossAt(view, step) {
  const { loss, loss_unit: unit } = view.scene;
  const all = (loss?.held_step ?? []).map((at, i) => ({ step: at, nll: loss.held_nll[i] }));
  const held = all.filter(({ nll }) => nll !== null);
  const { step: at, nll } = held[nearest(held, step)] ?? {};
  if (nll === undefined) return "";
  return `held-out NLL ${nll.toFixed(2)} ${unit}${at === step ? "" : ` (step ${steps(at)})`}`;
}

/** What a view shows, in words: `alt` for the newest picture. */
export function altOf(view, name, alt) {
  if (!isPast(view) || (name === "latent" && view.shows === "truth")) return alt;
  const spaces = { data: "Data space: density of the flow", loss: "Loss against steps, with a line" };
  const second = view.shows === "difference" ? "The flow's density minus the true one"
    : `${stageName(view, Math.round(placeOf(view).at))}: data and a straight grid`;
  const { step } = view.picture;
  const said = [`${spaces[name] ?? second}, at step ${steps(step)}, an earlier moment of this run`, lossAt(view, step)];
  return `${said.filter(Boolean).join("; ")}.`;
}

function nameTheViews(view) {
  for (const name of ["data", "loss"]) {
    tag(view.panes[name].box, "aria-label", altOf(view, name, view.scene.alt[name]));
  }
}

/** What stands beside the time line, as sentences. */
function timeSaid(view, isMovable) {
  const { time, scene } = view;
  const newest = newestOf(view)?.step ?? 0;
  if (!isPast(view)) {
    const from = scene.time?.continues;
    const branch = from ? `This run goes on from step ${steps(from.step)} of an earlier one. ` : "";
    return ["", branch + (isMovable ? "Drag the line over the loss to go back in time." : "")];
  }
  const step = view.picture.step;
  const first = `Step ${steps(step)} of ${steps(newest)}`;
  const rest = scene.playing ? "" : "Training is paused. ";
  if (time.wish !== null) return [first, glimpseSaid(time)];
  const before = (scene.time?.checkpoints ?? [0]).filter((one) => one <= step).at(-1) ?? 0;
  const again = before === step ? ""
    : ` The steps after ${before ? `the checkpoint at step ${steps(before)}` : "step 0"} are trained again.`;
  return [first, `${rest}“Continue from here” starts a new branch, and “Undo” brings this run back.${again}`];
}

function glimpseSaid({ glimpsed, wish }) {
  if (!glimpsed?.still) {
    return `The stored picture is coarse and shows one depth. The flow of step ${steps(wish)} is being loaded …`;
  }
  const { step, since } = glimpsed;
  const from = since ? `the checkpoint at step ${steps(since)}` : "step 0";
  if (since === step && step === wish) return `Shown from ${from}.`;
  if (step === wish) return `Computed again from ${from}, so it is sharp and has all depths.`;
  return `Shown from ${from}, the nearest one to step ${steps(wish)}.`;
}

/** Bring the line, the slider and the words beside it up to date. */
export function showTime(view) {
  const { time, root, scene } = view;
  if (!scene || !view.picture) return;
  const moments = momentsOf(view);
  const isMovable = moments.length > 1;
  const newest = moments.at(-1).step;
  const { step } = view.picture;
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
  say(bar.replay.querySelector("span"), time.replay ? "Pause" : "Replay");
  bar.now.hidden = !isPast(view);
  bar.on.hidden = !isPast(view) || root.dataset.columns !== "1"; // there Play is far away
  bar.whole.hidden = !view.zoom.loss;
  bar.replay.disabled = !isMovable;
  placeLine(view);
}

/** The line reaches over the plot of the loss, wherever that is now. */
export function measureLine({ panes: { loss: { box, surface: { at, scale } } }, time: { line, future } }) {
  if (!at) return;
  const place = {
    left: box.offsetLeft + scale * at.left, top: box.offsetTop + scale * at.top, width: scale * at.width,
    height: scale * at.height,
  };
  for (const side of ["left", "top", "height"]) line.style[side] = future.style[side] = `${place[side]}px`;
  future.style.width = `${place.width}px`;
}

/** It stands at the step that is shown; at an end of the plot where that is beside it. Nothing is laid out for that. */
export function placeLine(view) {
  const { panes: { loss: { surface: { at, scale } } }, time: { line, future }, picture } = view;
  line.hidden = !at || !picture;
  future.hidden = line.hidden || !isPast(view);
  if (line.hidden) return;
  const x = scale * (Math.max(at.left, Math.min(at.left + at.width, at.x(picture.step))) - at.left);
  line.style.transform = `translateX(${x}px)`;
  future.style.clipPath = `inset(0 0 0 ${x}px)`;
}

/** Where the whole loss is shown, a drag goes through time; where a part of it is, a drag moves that. */
const dragsTime = (view) => !view.zoom.loss && Boolean(view.picture);

/** Listen to a hand at the line, at the loss, and to the keys of the line. */
export function mountTime(view) {
  const section = view.panes.loss.section;
  const [line, future] = [".live-line", ".live-future"].map((name) => section.querySelector(name));
  const bar = Object.fromEntries(["first", "more", "now", "on", "replay", "speed", "whole"].map((name) =>
    [name, view.root.querySelector(`button[data-time=${name}], .live-time [data-time=${name}]`)]));
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
    if (!event.target.closest?.(buttons) || !isPast(view)) return;
    stopReplay(view);
    tellNow(view);
  }, { signal, capture: true });
}

/** A press within `part` of what `listens`, and how far it is dragged, is a way through time where it `may` be one. */
function dragged(view, listens, part, may) {
  let from = null; // {id, x, moving}
  let request = 0;
  const end = () => { from = null; };
  const scrub = ({ clientX }) => {
    const { surface, box } = view.panes.loss;
    const [step] = surface.at.atPixel((clientX - box.getBoundingClientRect().left) / surface.scale, 0);
    cancelAnimationFrame(request);
    request = requestAnimationFrame(() => {
      const moments = momentsOf(view);
      goTo(view, nearest(moments, step), moments);
    });
  };
  listens.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary) end(); // a second finger zooms
    if (event.button || !event.isPrimary || !part.contains(event.target) || !may()) return;
    from = { id: event.pointerId, x: event.clientX, moving: false };
    if (listens === part) listens.setPointerCapture(event.pointerId);
  }, { capture: true });
  listens.addEventListener("pointermove", (event) => {
    if (event.pointerId !== from?.id) return;
    from.moving ||= Math.abs(event.clientX - from.x) >= DRAG;
    if (!from.moving) return;
    event.stopPropagation();
    view.panes.loss.surface.tip.hidden = true;
    scrub(event);
  }, { capture: true });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) listens.addEventListener(name, end);
}

function pressLine(view, event) {
  if (isChord(event) || event.shiftKey) return;
  const moments = momentsOf(view);
  const at = momentShown(view, moments);
  const to = {
    ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - PAGE, PageUp: at + PAGE,
    Home: 0, End: Infinity,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  goTo(view, to, moments);
}
