// The clock: scenes come once a second, their frames are shown one by one in between.

import { isCalm } from "../canvas/page.js";
import { drawPicture } from "../canvas/plane.js";
import { listenToChannel } from "./channel.js";
import { decode, fieldOf, mixed } from "./decode.js";
import { adoptDepth, askForDepth, keepDepth, showDepth, stepName } from "./depth.js";
import { fit } from "./element.js";
import { showHint } from "./hints.js";
import { paneLoss } from "./loss.js";
import { painterOf, receiveParts } from "./parts.js";
import { paneData, paneSecond } from "./planes.js";
import { arriveAt, keepProbe } from "./probe.js";
import { readTheme } from "./theme.js";
import { hold, isPast, keepPictures, measureLine, placeLine, showTime, startTime, takeTime } from "./time.js";
import { rememberView } from "./view.js";
import { say, showChoices, showClasses, showReadouts, showStep } from "./words.js";

const QUEUE_LIMIT = 14;
const EASE = 0.2; // share of the way the colour range goes to its target with each frame
export const painters = { data: paneData, latent: paneSecond, loss: paneLoss };

/** Draw these panes in the colours of the page, or in a `theme` that was read before: each scene reads it anew. */
export function paint(view, names, theme = (view.theme = readTheme(view.root))) {
  if (!view.scene || !view.size || !view.root.isConnected) return;
  const began = performance.now();
  if (view.gridColour !== theme.grid) view.root.style.setProperty("--grid", (view.gridColour = theme.grid));
  for (const name of names) {
    const picture = painterOf(view, name)(view, theme);
    drawPicture(view.panes[name].surface, picture, theme);
    if (name === "data")
      view.root.dispatchEvent(new CustomEvent("resflow-density", { bubbles: true, detail: picture }));
  }
  view.drawing += performance.now() - began;
  if (!names.includes("loss")) return;
  measureLine(view);
  showTime(view);
}

/** All that may follow from a new scene, another view or a truth that has come; the panes apart. */
export function showWords(view) {
  showChoices(view);
  showReadouts(view);
  showClasses(view, readTheme(view.root));
  showDepth(view);
  showHint(view);
}

/** Positions of the newest picture by name, on their way from where they were when it came. */
export function shownRaw(view, name) {
  const to = decode(name === "samples" ? view.samples : view.picture[name]);
  return mixed(view.before?.[name], to, view.share);
}

/** The density of the picture on its way, in units of `area`. */
export function shownDensity(view, area = 1) {
  const { density, density_largest: largest } = view.picture;
  const to = view.arrived.field ??= fieldOf(density, largest);
  const values = mixed(view.before?.density, to.values, view.share);
  if (area === 1) return values === to.values ? to : { ...to, values };
  return { ...to, values: values.map((v) => v / area) };
}

export const shownTop = ({ before, colourTop, share }) =>
  (before ? before.top * (colourTop / before.top) ** share : colourTop);

/** What is drawn now, for the next picture to begin from; positions at another depth are no beginning. */
function drawnNow(view, next) {
  const { picture } = view;
  if (!picture || !view.scene.playing || isCalm()) return null;
  const isSame = picture.depth === next.depth;
  return {
    density: shownDensity(view).values, top: shownTop(view), samples: view.samples && shownRaw(view, "samples"),
    latent: isSame ? shownRaw(view, "latent") : null, grid: isSame ? shownRaw(view, "grid") : null,
  };
}

export function show(view, frame) {
  if (isPast(view)) {
    hold(view, frame);
    return;
  }
  const target = Math.max(frame.density_top, Number.MIN_VALUE);
  const isFirst = !view.picture;
  const before = drawnNow(view, frame);
  const eased = view.picture && view.scene.playing;
  view.colourTop = eased ? view.colourTop * (target / view.colourTop) ** EASE : target;
  if (view.depth.wanted === null) adoptDepth(view, frame);
  Object.assign(view, { before, picture: frame, arrived: {}, began: performance.now(), share: before ? 0 : 1 });
  view.samples = frame.samples ?? view.samples;
  say(view.panes.data.caption, stepName(frame.step));
  showStep(view);
  paintPlanes(view);
  if (isFirst) showTime(view);
  else placeLine(view);
  showDepth(view);
  view.root.dataset.step = frame.step;
  view.root.dataset.frames = Number(view.root.dataset.frames) + 1;
}

/** What moves with the flow. */
export function paintPlanes(view) {
  const stands = view.shows === "truth" || view.depth.request; // a glide draws by itself
  paint(view, stands ? ["data"] : ["data", "latent"], view.theme);
}

/** One animation frame of the clock: runs while frames wait or one turns into the next, rests otherwise. */
function tick(view) {
  if ((!view.queue.length && (view.share >= 1 || isPast(view))) || !view.root.isConnected) {
    view.ticking = false;
    return;
  }
  requestAnimationFrame(() => tick(view));
  const now = performance.now();
  if (now < view.rest) return;
  if (view.queue.length && now >= view.due) {
    view.due = Math.max(view.due + view.spacing, now);
    show(view, view.queue.shift());
  } else if (view.share < 1 && !isPast(view)) {
    view.share = Math.min(1, (now - view.began) / view.spacing);
    paintPlanes(view);
  }
  view.rest = 2 * performance.now() - now; // drawing gets at most half of the time
}

export function play(view) {
  if (view.ticking) return;
  view.ticking = true;
  tick(view);
}

/** Let frames that were not seen yet wait for their turn, at most so many, and say whether there are such. */
export function enqueue(view, frames, most) {
  const fresh = frames.filter((frame) => frame.step > view.last);
  if (!fresh.length) return false;
  view.last = fresh.at(-1).step;
  view.queue.push(...(isCalm() ? fresh.slice(-1) : fresh));
  view.queue.splice(0, view.queue.length - most);
  return true;
}

/** What must be shown without waiting its turn: a paused flow's sharp picture or last frame, or a first picture. */
function takeUrgent(view) {
  const { playing, still } = view.scene;
  if (playing) return view.picture || view.queue.length ? null : still;
  const newest = still ?? view.queue.at(-1);
  view.queue.length = 0;
  view.last = newest?.step ?? view.last;
  return newest;
}

export function receive(view, scene) {
  const before = view.scene;
  view.scene = scene;
  if (before?.run !== scene.run) startRun(view, before);
  keepPictures(view, scene.frames);
  if (enqueue(view, scene.frames, QUEUE_LIMIT)) view.spacing = scene.poll_ms / view.queue.length;
  const urgent = takeUrgent(view);
  if (urgent) show(view, urgent);
  else if (!view.queue.length) paint(view, ["data", "latent"]); // the theme or the data may be new
  fit(view);
  paint(view, ["loss"]);
  if (scene.playing) askForDepth(view);
  listenToChannel(view);
  arriveAt(view, scene.at);
  showWords(view);
  takeTime(view);
  receiveParts(view);
  play(view);
}

function startRun(view, before) {
  view.queue.length = 0;
  view.last = -1;
  view.picture = view.samples = view.before = null;
  view.share = 1;
  for (const { caption } of Object.values(view.panes)) if (caption) caption.textContent = "";
  view.root.dataset.run = view.scene.run;
  view.root.dataset.step = "";
  view.zoom = before ? {} : view.recalled;
  if (before) keepDepth(view, before.blocks);
  keepProbe(view, before);
  startTime(view);
  if (!view.scene.truth) view.shows = "latent";
  if (before) rememberView(view);
}
