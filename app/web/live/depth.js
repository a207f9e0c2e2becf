// Depth: how far into the flow the second pane looks. Stage 0 is x, stage k is after block k, the last is z. What the
// browser has evaluated has all stages. A frame of the server's is drawn at the depth that it is asked for (the
// component's state "depth": a number of blocks, or null for z).

import { isCalm } from "../canvas/page.js";
import { partOf } from "../part.js";
import { askByChannel } from "./channel.js";
import { paint } from "./clock.js";
import { mixedWayAt } from "./picture.js";
import { showProbe } from "./probe.js";
import { altOf, isPast } from "./time.js";
import { depthInAddress, rememberView } from "./view.js";
import { say, tag } from "./words.js";

/** @import { View } from "./types.js" */

const GLIDE_SECONDS = 0.25; // to the stage that a hand has chosen

/** @type {(view: View) => number} */
export const lastStage = (view) => view.scene.blocks + 1;

/**
 * What a stage is called in a formula: the ends x and z, hidden ones h.
 * @type {(view: View, at: number) => "x" | "h" | "z"}
 */
export const letterOf = (view, at) => (at === 0 ? "x" : at === lastStage(view) ? "z" : "h");

/**
 * What the second pane shows of the flow, and the stage, which is whole except on the move; null where it has none.
 * @type {(view: View) => ReturnType<typeof mixedWayAt> | null}
 */
export function placeOf({ before, picture, share, depth }) {
  return picture?.ways ? mixedWayAt(before?.ways, picture.ways, depth.at, share) : null;
}

/**
 * Whether the picture has all stages.
 * @type {(view: View) => boolean}
 */
const hasStages = (view) => view.picture?.ways?.count === lastStage(view) + 1;

/** @type {(step: number) => string} */
export const stepName = (step) => `step ${step.toLocaleString("en")}`;

/** @type {(view: View, stage: number) => string} */
export function stageName(view, stage) {
  const ends = { x: "Data space, x", h: null, z: "Latent space, z" };
  return ends[letterOf(view, stage)] ?? `After block ${stage} of ${view.scene.blocks}`;
}

/**
 * Bring slider and titles up to date with the state.
 * @type {(view: View) => void}
 */
export function showDepth(view) {
  const { root, depth, scene, slider, panes } = view;
  const place = placeOf(view);
  const drawn = Math.round(place?.at ?? lastStage(view));
  const latent = view.shows === "latent";
  const title = stageName(view, drawn);
  say(partOf(root, "[data-view=latent]"), title);
  tag(root, "data-depth", letterOf(view, drawn) === "h" ? drawn : letterOf(view, drawn));
  tag(root, "data-shows", view.shows);
  slider.max = String(lastStage(view));
  slider.style.setProperty("--stages", slider.max);
  slider.value = String(depth.wanted ?? lastStage(view));
  slider.disabled = !latent;
  const label = stageName(view, Math.round(Number(slider.value)));
  tag(slider, "aria-valuetext", label);
  say(partOf(root, ".live-depth output"), label.toLowerCase());
  slider.title = latent ? "" : "Choose the latent space to move through the blocks";
  const alt = latent && letterOf(view, drawn) !== "z" ? `${title}. ${scene.alt.stage}` : scene.alt[view.shows];
  tag(panes.latent.box, "aria-label", altOf(view, "latent", alt));
  showProbe(view);
}

/**
 * Glide to the wanted stage.
 * @type {(view: View, wanted: number) => void}
 */
function glide(view, wanted) {
  const { depth } = view;
  depth.rate = Math.abs(wanted - depth.at) / GLIDE_SECONDS;
  Object.assign(depth, { time: performance.now(), rest: 0 });
  if (!depth.request) depth.request = requestAnimationFrame(() => advance(view));
}

/**
 * Drawing gets at most half of the time, so that scenes still arrive on a slow machine.
 * @type {(view: View) => void}
 */
function advance(view) {
  const { depth } = view;
  const now = performance.now();
  depth.request = 0;
  if (now >= depth.rest) {
    const most = depth.rate * Math.min((now - depth.time) / 1000, 0.2);
    depth.time = now;
    const wanted = depth.wanted ?? lastStage(view);
    const gap = wanted - depth.at;
    depth.at = Math.abs(gap) <= most ? wanted : depth.at + Math.sign(gap) * most;
    paint(view, ["latent"]);
    showDepth(view);
    depth.rest = 2 * performance.now() - now;
  }
  if (depth.at !== depth.wanted && view.root.isConnected) depth.request = requestAnimationFrame(() => advance(view));
}

/**
 * The end of a glide: the pane is where the slider is.
 * @type {(view: View) => void}
 */
export function halt(view) {
  cancelAnimationFrame(view.depth.request);
  Object.assign(view.depth, { request: 0, at: view.depth.wanted ?? view.depth.at });
}

/**
 * A hand is at the slider.
 * @type {(view: View) => void}
 */
export function choose(view) {
  const { depth } = view;
  depth.wanted = Math.round(Number(view.slider.value));
  rememberView(view);
  if (hasStages(view) && !isCalm()) {
    glide(view, depth.wanted);
  } else {
    halt(view);
    paint(view, ["latent"]);
  }
  showDepth(view);
}

/**
 * Ask for frames at the chosen depth. Where the channel is closed that costs a poll, so it is said only if the server
 * draws.
 * @type {(view: View) => void}
 */
export function askForDepth(view) {
  const { depth, newest } = view;
  if (!newest?.frame || isPast(view)) return; // an earlier moment has the depth that it was drawn at
  const wish = depth.wanted === lastStage(view) ? null : depth.wanted;
  if (wish === depth.asked) return;
  depth.asked = wish;
  if (!askByChannel(view, { depth: wish })) view.setState("depth", wish);
}

/**
 * The first frame says what Python was asked for before this element was there; the address may name another depth.
 * @type {(view: View) => void}
 */
export function adoptDepth(view) {
  const { depth, newest } = view;
  depth.asked = newest?.frame?.depth ?? null;
  depth.wanted = depth.at = depthInAddress(view) ?? depth.asked ?? lastStage(view);
  askForDepth(view);
}

/**
 * Another flow may have another number of blocks; z stays z.
 * @type {(view: View, blocksBefore: number) => void}
 */
export function keepDepth(view, blocksBefore) {
  const { depth } = view;
  halt(view);
  const wanted = depth.wanted ?? Infinity;
  depth.wanted = depth.at = wanted > Math.min(blocksBefore, view.scene.blocks) ? lastStage(view) : wanted;
  if ((depth.asked ?? 0) > view.scene.blocks) askForDepth(view);
}
