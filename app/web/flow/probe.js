/**
 * What computes flows of one shape on the machine at hand: the fastest of those that it has, by measured time; and how
 * fine a picture it can draw.
 */

import { branchesInDouble } from "./branches.js";
import { flowOf, gridPoints, logDensities } from "./evaluate.js";
import { branchesInSingle } from "./simd.js";

/** @typedef {import("./branches.js").Branches} Branches */
/** @typedef {import("./branches.js").Numbers} Numbers */
/** @typedef {import("./evaluate.js").Flow} Flow */
/** @typedef {import("./message.js").Message} Message */
/** @typedef {import("./message.js").Shape} Shape */

/**
 * How fast the machine is, and so how fine its pictures may be.
 *
 * @typedef {object} Ability
 * @property {string} engine  what computes: "single" (WebAssembly) or "double" (JavaScript)
 * @property {number} milliseconds  for a density on 40 x 40 nodes
 * @property {number} moving  nodes a side of a picture of a flow that moves
 * @property {number} still  nodes a side of one that stands still
 * @property {string} refuses  why the flow cannot be drawn here; "" if it can
 */

/**
 * @typedef {object} Engine
 * @property {(shape: Shape) => boolean} takes  whether it is made for flows of this shape
 * @property {(message: Message) => void} load
 * @property {() => Flow} flow  the flow that was loaded last
 * @property {() => Flow} exactFlow  the same in double precision
 * @property {(window: import("./service.js").Window, columns: number, rows: number) =>
 *   Generator<void, Numbers, void>} density  log p in nats at the nodes of a grid
 * @property {() => Ability} ability
 */

const COARSE = 40; // nodes a side of the coarsest picture
const MOST_MILLISECONDS = 250; // for it
const MOVING = [40, 50, 64, 80, 100];
const MOVING_MILLISECONDS = 20;
const STILL = [200, 300, 400];
const STILL_MILLISECONDS = 400;
const PROBED = 16; // nodes a side of what is measured: a large flow would take seconds for more
const FORGOTTEN = 0.3; // the share of an older measurement that a newer one replaces

/** The largest of some numbers of nodes a side that can be computed within a time. */
/** @param {number[]} sides @param {number} perNode @param {number} most */
const largest = (sides, perNode, most) => sides.findLast((side) => side * side * perNode <= most) ?? sides[0];

/** What a flow means apart from its weights. @param {Shape} shape */
const keyOf = ({ blocks, widths, branch, actnorm, activation }) =>
  JSON.stringify([blocks, widths, branch, actnorm, activation]);

/**
 * @param {string} name
 * @param {Shape} shape
 * @param {Branches} branches
 * @returns {Engine & {measure: () => void}}
 */
function engineOf(name, shape, branches) {
  const key = keyOf(shape);
  /** @type {Flow | null} */
  let flow = null;
  /** @type {Message | null} */
  let message = null;
  let perNode = 0; // milliseconds

  /** @param {number} now */
  const learn = (now) => {
    perNode += (perNode ? FORGOTTEN : 1) * (now - perNode);
  };

  const loaded = () => {
    if (!message) throw new Error("No flow has been taken yet.");
    flow ??= flowOf(message.shape, message.numbers, branches);
    return flow;
  };

  /** @param {import("./service.js").Window} window @param {number} columns @param {number} rows */
  function* density(window, columns, rows) {
    const pieces = logDensities(loaded(), gridPoints(window, columns, rows));
    let spent = 0; // without the pauses
    for (;;) {
      const begin = performance.now();
      const { done, value } = pieces.next();
      spent += performance.now() - begin;
      if (done) {
        learn(spent / (columns * rows));
        return /** @type {Numbers} */ (value);
      }
      yield;
    }
  }

  return {
    takes: (other) => keyOf(other) === key,
    load(taken) {
      [message, flow] = [taken, null];
    },
    flow: loaded,
    exactFlow() {
      const { shape: exactShape, numbers } = /** @type {Message} */ (loaded() && message);
      return name === "double" ? loaded() : flowOf(exactShape, numbers, branchesInDouble(exactShape));
    },
    density,
    measure() {
      const window = /** @type {import("./service.js").Window} */ ([[-2, 2], [-2, 2]]);
      for (let k = 0; k < 2; k++) {
        perNode = 0; // the first time, code is compiled
        for (const pieces = density(window, PROBED, PROBED); !pieces.next().done; );
      }
    },
    ability() {
      const milliseconds = COARSE * COARSE * perNode;
      return {
        engine: name,
        milliseconds,
        moving: largest(MOVING, perNode, MOVING_MILLISECONDS),
        still: largest(STILL, perNode, STILL_MILLISECONDS),
        refuses: milliseconds > MOST_MILLISECONDS
          ? `A picture of ${COARSE} x ${COARSE} nodes takes ${Math.round(milliseconds)} ms on this machine; at most ` +
            `${MOST_MILLISECONDS} ms are allowed.`
          : "",
      };
    },
  };
}

/** @type {Record<string, (shape: Shape) => Branches | null>} */
const KINDS = { single: branchesInSingle, double: branchesInDouble };

/**
 * The fastest engine for a flow, or the one with the name `force`. Throws an Error if there is none.
 *
 * @param {Message} message
 * @param {string} [force]
 * @returns {Engine}
 */
export function chosenEngine(message, force) {
  const engines = Object.entries(KINDS).flatMap(([name, make]) => {
    const branches = !force || force === name ? make(message.shape) : null;
    return branches ? [engineOf(name, message.shape, branches)] : [];
  });
  if (!engines.length) throw new Error(`This browser has no ${force}.`);
  for (const engine of engines) {
    engine.load(message);
    engine.measure();
  }
  return engines.reduce((best, one) => (one.ability().milliseconds < best.ability().milliseconds ? one : best));
}
