// A stored run, over and over: its density over the plane, and its loss as a line along which one can drag it. A switch
// shows the same flow trained by a series that is cut. A place on the way is a number of stored pictures, 0 the first.

import { finer } from "../canvas/field.js";
import { PALETTES } from "../canvas/layers.js";
import { isCalm, pageTheme } from "../canvas/page.js";
import { drawPicture, surfaceIn } from "../canvas/plane.js";
import { unpacked } from "../canvas/unpack.js";
import { partOf, partOfKind } from "../part.js";
import { offer } from "../take/menu.js";
import { figureOfReplay } from "./taken.js";

/** @import { Field, FieldLayer, Layer, Picture, Range, Theme, Tick } from "../canvas/types.js" */
/** @import { Call } from "../types.js" */
/** @import { Data, Kind, Replay, Scene, Stored } from "./types.js" */

const TRAVEL = 9; // seconds from the first picture to the last
const HOLD = 2.5; // seconds at the end
const TRUE = "#0072B2";
const REPORTED = "#D55E00";
const LOSS_MARGIN = { left: 66, right: 22, top: 8, bottom: 46 };
export const MOST_LEVEL = 255; // of a stored density, at which colours end
const MOST_BELOW = 0.15; // of the axis's range: room around the losses
const ICONS = { pause: "M4 2h3v12H4zM9 2h3v12H9z", play: "M4 2l10 6-10 6z" };
/** @type {WeakMap<HTMLElement, Replay>} */
const replays = new WeakMap();

/** @type {(a: number, b: number, t: number) => number} */
const mix = (a, b, t) => a + (b - a) * t;
/** Training is quick at first: the axis has the square root of a step. */
const alongAxis = Math.sqrt;

/** @type {(data: Data) => Scene} */
function decode(scene) {
  /** @type {(one: Stored) => Kind} */
  const kind = (one) => ({ ...one, pictures: one.density.map(({ level, top }) => ({ values: unpacked(level), top })) });
  return { ...scene, exact: kind(scene.exact), cut: kind(scene.cut), last: scene.steps.length - 1 };
}

/**
 * What lies between two of a list's numbers.
 * @type {(list: number[], at: number) => number}
 */
function between(list, at) {
  const k = Math.min(list.length - 2, Math.floor(at));
  return mix(list[k], list[k + 1], at - k);
}

/**
 * The place whose step is at this place of the axis.
 * @type {(scene: Scene, along: number) => number}
 */
function placeAt({ steps, last }, along) {
  const ways = steps.map(alongAxis);
  const k = Math.max(0, Math.min(last - 1, ways.findLastIndex((way) => way <= along)));
  return Math.max(0, Math.min(last, k + (along - ways[k]) / (ways[k + 1] - ways[k])));
}

/**
 * The density at a place, faded from one picture to the next.
 * @type {(kind: Kind, at: number, side: number, values: Float32Array) => Field}
 */
function fieldAt({ pictures }, at, side, values) {
  const k = Math.min(pictures.length - 2, Math.floor(at));
  const [from, to, t] = [pictures[k].values, pictures[k + 1].values, at - k];
  for (let i = 0; i < values.length; i++) values[i] = mix(from[i], to[i], t);
  return { values, rows: side, columns: side };
}

/** @type {(range: Range) => Tick[]} */
function stepTicks(range) {
  return [0, 100, 500, 1000, 1500, 2000, 3000]
    .map((step) => ({ value: alongAxis(step), text: step.toLocaleString("en") }))
    .filter(({ value }) => value >= range[0] && value <= range[1]);
}

/** @type {(replay: Replay) => void} */
function draw(replay) {
  const { root, scene, at, plane, loss } = replay;
  if (!plane.box.clientWidth) return;
  const theme = pageTheme(root);
  const kind = kindOf(replay);
  const side = Math.sqrt(kind.pictures[0].values.length);
  replay.values ??= new Float32Array(side * side);
  const field = fieldAt(kind, at, side, replay.values);
  drawPicture(plane, densityPicture(scene, field, MOST_LEVEL), theme);
  drawPicture(loss, lossPicture(replay, kind, theme), theme);
  say(replay, kind);
}

/** @type {(replay: Replay) => Kind} */
export const kindOf = ({ scene, isCut }) => scene[isCut ? "cut" : "exact"];

/**
 * A density whose colours end at `top`.
 * @type {(scene: Scene, field: Field, top: number) => Picture & { layers: [FieldLayer] }}
 */
export function densityPicture(scene, field, top) {
  const [x, y] = ["x₁", "x₂"].map((title, k) => ({ title, range: scene.window[k] }));
  /** @type {FieldLayer} */
  const layer = {
    kind: "field",
    nodes: field,
    field: finer(field),
    window: scene.window,
    range: [0, top],
    palette: PALETTES.viridis,
  };
  return { x, y, ratio: 1, over: "dark", layers: [layer] };
}

/** @type {(at: Pick<Replay, "scene" | "at" | "isCut">, kind: Kind, theme: Theme) => Picture} */
export function lossPicture({ scene, at, isCut }, kind, theme) {
  const steps = scene.steps.map(alongAxis);
  const drawn = [scene.exact.true, scene.cut.true, scene.cut.reported].flat();
  const [low, high] = [Math.min(scene.entropy, ...drawn), Math.max(...drawn)];
  const room = MOST_BELOW * (high - low);
  /** @type {Range} */
  const ends = [steps[0], steps[scene.last]];
  /** @type {(values: number[], look: { name: string, colour: string, dash?: number[] }) => Layer} */
  const line = (values, look) => ({ kind: "line", x: steps, y: values, width: 2.2, ...look });
  const here = alongAxis(between(scene.steps, at));
  /** @type {(values: number[], colour: string) => Layer} */
  const point = (values, colour) => ({
    kind: "points",
    x: [here],
    y: [between(values, at)],
    marker: { size: 10, symbol: "circle", colour },
  });
  /** @type {Layer[]} */
  const layers = [
    {
      kind: "level",
      y: scene.entropy,
      text: "entropy: no density has less loss",
      above: false,
      colour: theme.ink(0.8),
    },
    line(kind.true, { name: isCut ? "true loss" : "loss, reported and true", colour: TRUE }),
    ...(isCut ? [line(kind.reported, { name: "reported loss", colour: REPORTED, dash: [8, 5] })] : []),
    { kind: "line", x: [here, here], y: [low - room, high + room], colour: theme.ink(0.5), width: 1 },
    point(kind.true, TRUE),
    ...(isCut ? [point(kind.reported, REPORTED)] : []),
  ];
  const axis = { title: "step", range: ends, ticks: stepTicks };
  return {
    x: axis,
    y: { title: "held-out loss, nats", range: [low - room, high + room] },
    layers,
    margin: LOSS_MARGIN,
    grid: true,
  };
}

/**
 * The numbers at a place, in two lines of HTML.
 * @type {(at: Pick<Replay, "scene" | "at" | "isCut">, kind: Kind) => string[]}
 */
export function numbersAt({ scene, at, isCut }, kind) {
  const step = stepAt(scene, at);
  const [truth, reported, mass] = [kind.true, kind.reported, kind.mass].map((values) => between(values, at));
  const below = reported < scene.entropy ? ` <mark>below ${scene.entropy.toFixed(2)}: impossible</mark>` : "";
  return isCut
    ? [
        `Step ${step}: reported loss <b>${reported.toFixed(2)} nats</b>${below}`,
        `true loss <b>${truth.toFixed(2)}</b>, mass that it believes in <b>${mass.toFixed(2)}</b>`,
      ]
    : [
        `Step ${step}: reported loss = true loss = <b>${truth.toFixed(2)} nats</b>`,
        `mass of the density <b>${mass.toFixed(2)}</b>`,
      ];
}

/** @type {(scene: Scene, at: number) => string} */
export const stepAt = ({ steps }, at) => Math.round(between(steps, at)).toLocaleString("en");

/** @type {(scene: Scene, at: number) => string} */
export const altAt = (scene, at) => `${scene.alt} Here at step ${stepAt(scene, at)}.`;

/** @type {(replay: Replay, kind: Kind) => void} */
function say(replay, kind) {
  const { scene, at, told, slider, plane } = replay;
  const step = stepAt(scene, at);
  told.innerHTML = numbersAt(replay, kind).join("<br>");
  slider.value = String(at);
  slider.setAttribute("aria-valuetext", `step ${step}: ${told.textContent}`);
  plane.box.setAttribute("aria-label", altAt(scene, at));
}

/**
 * One frame; drawing gets at most half of the time, so that a slow machine stays at hand.
 * @type {(replay: Replay) => void}
 */
function advance(replay) {
  replay.request = 0;
  if (!mayMove(replay)) return;
  const now = performance.now();
  if (now >= replay.rest) {
    const { last } = replay.scene;
    replay.at += (last / TRAVEL) * Math.min(0.1, (now - replay.seen) / 1000);
    replay.seen = now;
    if (replay.at > last * (1 + HOLD / TRAVEL)) replay.at = 0;
    draw({ ...replay, at: Math.min(replay.at, last) });
    replay.rest = 2 * performance.now() - now;
  }
  replay.request = requestAnimationFrame(() => advance(replay));
}

/** @type {(replay: Replay) => boolean} */
const mayMove = ({ root, moving, inSight }) => moving && inSight && root.isConnected && !document.hidden;

/** @type {(replay: Replay) => void} */
function wake(replay) {
  if (replay.request || !mayMove(replay)) return;
  replay.seen = performance.now();
  replay.request = requestAnimationFrame(() => advance(replay));
}

/** @type {(replay: Replay, moving: boolean) => void} */
export function setMoving(replay, moving) {
  replay.moving = moving;
  partOf(replay.button, "span").textContent = moving ? "Pause" : "Play";
  replay.button.querySelector("path")?.setAttribute("d", moving ? ICONS.pause : ICONS.play);
  if (moving && replay.at >= replay.scene.last) replay.at = 0;
  wake(replay);
}

/**
 * A hand has taken it to a place.
 * @type {(replay: Replay, at: number) => void}
 */
export function goTo(replay, at) {
  replay.at = at;
  setMoving(replay, false);
  draw(replay);
}

/** @type {(replay: Replay) => void} */
function listen(replay) {
  const { loss, slider, button, flip } = replay;
  slider.addEventListener("input", () => goTo(replay, Number(slider.value)));
  let isHeld = false;
  /** @type {(event: PointerEvent) => void} */
  const drag = ({ clientX }) => {
    if (!loss.at) return;
    const left = loss.box.getBoundingClientRect().left;
    goTo(replay, placeAt(replay.scene, loss.at.atPixel(clientX - left, 0)[0]));
  };
  loss.box.addEventListener("pointerdown", (event) => {
    isHeld = true;
    loss.box.setPointerCapture(event.pointerId);
    drag(event);
  });
  loss.box.addEventListener("pointermove", (event) => isHeld && drag(event));
  for (const end of ["pointerup", "pointercancel"]) loss.box.addEventListener(end, () => { isHeld = false; });
  button.addEventListener("click", () => setMoving(replay, !replay.moving));
  flip.addEventListener("change", () => {
    replay.isCut = flip.checked;
    draw({ ...replay, at: Math.min(replay.at, replay.scene.last) });
  });
  matchMedia("(prefers-reduced-motion: reduce)").addEventListener("change", () => setMoving(replay, !isCalm()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(() => draw(replay), 300));
  document.addEventListener("visibilitychange", () => wake(replay));
  new ResizeObserver(() => draw({ ...replay, at: Math.min(replay.at, replay.scene.last) })).observe(replay.root);
  new IntersectionObserver(([entry]) => {
    replay.inSight = entry.isIntersecting;
    wake(replay);
  }).observe(replay.root);
}

/** @type {(root: HTMLElement, scene: Scene) => Replay} */
function begin(root, scene) {
  const [plane, loss] = [".replay-plane", ".replay-loss"].map((selector) =>
    surfaceIn(partOf(root, selector), { moved() {}, told: () => "" }));
  /** @type {Replay} */
  const replay = {
    root, scene, plane, loss, told: partOf(root, ".replay-told"),
    slider: partOfKind(root, "input[type=range]", HTMLInputElement), button: partOf(root, "button"),
    flip: partOfKind(root, "[role=switch]", HTMLInputElement), isCut: false,
    at: 0, seen: 0, rest: 0, request: 0, inSight: true, moving: false,
  };
  replay.slider.max = String(scene.last);
  loss.box.setAttribute("aria-label", scene.lossAlt);
  partOf(root, "label span").textContent = `Trust only ${scene.terms} terms`;
  // Who wants no motion sees where it ends: the checkerboard.
  replay.at = isCalm() ? scene.last : 0;
  setMoving(replay, !isCalm());
  listen(replay);
  return replay;
}

/** @type {(call: Call<Data>) => void} */
export default function ({ data, parentElement }) {
  const root = partOf(parentElement, ".replay");
  const replay = replays.get(root) ?? begin(root, decode(data));
  replays.set(root, replay);
  draw({ ...replay, at: Math.min(replay.at, replay.scene.last) });
  wake(replay);
  offer({ name: "replay", figure: () => figureOfReplay(replay) });
}
