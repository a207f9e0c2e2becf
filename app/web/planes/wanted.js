// What is to be computed next of the flow of a pane: at once a coarse picture, and a sharp one as soon as it stays.

import { samePlace } from "./places.js";

/** @import { Window } from "../canvas/types.js" */

/**
 * What a pane shows of a flow.
 *
 * @typedef {object} Needs
 * @property {string} flow  the name of its weights
 * @property {boolean} density
 * @property {Window} ranges  the part of the plane that is seen
 * @property {Window | null} whole  the part whose quantile says where colours end, if that is to be known
 * @property {number} samples  how many
 * @property {boolean} mayBeSharp  whether nothing moves
 * @property {number} pixels  of the plot's longer side, on the screen
 */

/**
 * What has been computed: of which weights, and of the density over which part of the plane, by how many nodes a side.
 *
 * @typedef {object} Has
 * @property {string} flow
 * @property {Window | null} ranges
 * @property {number} side
 * @property {string} topOf  the weights whose quantile is known
 * @property {string} samplesOf  the weights whose samples are
 */

/** @typedef {{density: boolean, side: number, isSharp: boolean, top: boolean, samples: boolean}} Work */

const MOVING = 60; // nodes a side of a picture that moves
const SLOW = 40; // the same where the machine is slow
const SLOW_MS = 110; // for 40 x 40 nodes, from which it is: 60 x 60 would take a quarter of a second
const [LEAST_SHARP, MOST_SHARP] = [120, 400];
const SHARP_MS = 600; // that a sharp picture may take, if it is finer than the least
const [SIDE_PROBED, STRIPE_MS] = [40, 40];

/** @typedef {{milliseconds: number}} Ability  what 40 x 40 nodes take */

/** Nodes a side of a picture that moves. @param {Ability | null} ability */
export const movingSide = (ability) => (ability && ability.milliseconds > SLOW_MS ? SLOW : MOVING);

/**
 * Nodes a side of a picture that stays: as many as pixels, if the machine can draw them soon.
 *
 * @param {Ability | null} ability
 * @param {number} pixels
 */
export function sharpSide(ability, pixels) {
  const soon = ability?.milliseconds ? SIDE_PROBED * Math.sqrt(SHARP_MS / ability.milliseconds) : LEAST_SHARP;
  return Math.round(Math.max(LEAST_SHARP, Math.min(MOST_SHARP, pixels, soon)));
}

/**
 * How many rows of a sharp picture are computed at a time, so that nobody waits for long.
 *
 * @param {Ability | null} ability
 * @param {number} side
 */
export function rowsAtATime(ability, side) {
  const ofRow = ((ability?.milliseconds ?? STRIPE_MS) * side) / SIDE_PROBED ** 2;
  return Math.max(1, Math.min(side, Math.floor(STRIPE_MS / ofRow)));
}

/**
 * What comes next; null if all is there.
 *
 * @param {Needs} needs
 * @param {Has} has
 * @param {Ability | null} ability
 * @returns {Work | null}
 */
export function nextWork(needs, has, ability) {
  const { flow, ranges, whole, mayBeSharp } = needs;
  const density = needs.density && !(has.flow === flow && has.ranges !== null && samePlace(has.ranges, ranges));
  const samples = needs.samples > 0 && has.samplesOf !== flow;
  const top = whole !== null && has.topOf !== flow && !(density && samePlace(whole, ranges));
  if (density || samples || top) return { density, side: movingSide(ability), isSharp: false, top, samples };
  const side = sharpSide(ability, needs.pixels);
  const isDue = needs.density && mayBeSharp && has.side < side;
  return isDue ? { density: true, side, isSharp: true, top: false, samples: false } : null;
}
