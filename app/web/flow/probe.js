/**
 * What computes flows of one shape on the machine at hand: the fastest of those that it has, by measured time; and how
 * fine a picture it can draw.
 *
 * - double: JavaScript, in double precision
 * - single: WebAssembly, in single precision
 * - webgl: the density by a shader, all else as "single" or, without WebAssembly, as "double"
 */

import { branchesInDouble } from "./branches.js";
import { finished, flowOf, gridPoints, logDensities } from "./evaluate.js";
import { branchesInSingle } from "./simd.js";
import { shaderOf } from "./webgl.js";

/** @typedef {import("./branches.js").Branches} Branches */
/** @typedef {import("./branches.js").Numbers} Numbers */
/** @typedef {import("./evaluate.js").Flow} Flow */
/** @typedef {import("./message.js").Message} Message */
/** @typedef {import("./message.js").Shape} Shape */
/** @typedef {import("./service.js").Window} Window */
/** @typedef {import("./webgl.js").Shader} Shader */

/**
 * How fast the machine is, and so how fine its pictures may be.
 *
 * @typedef {object} Ability
 * @property {string} engine  "double", "single" or "webgl"
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
 * @property {(window: Window, columns: number, rows: number) => Generator<void, Numbers, void>} density  log p in nats
 *   at the nodes of a grid
 * @property {() => Ability} ability
 * @property {() => void} end  give back what it has of the machine
 */

/** @typedef {Engine & {measure: () => number, isTrue: () => boolean}} Candidate */

const COARSE = 40; // nodes a side of the coarsest picture
const MOST_MILLISECONDS = 250; // for it
const MOVING = [40, 50, 64, 80, 100];
const MOVING_MILLISECONDS = 20;
const STILL = [200, 300, 400];
const STILL_MILLISECONDS = 400;
// Nodes a side of what is measured: first few, since a large flow would take seconds for more.
const PROBED = [16, 64];
const PROBED_MILLISECONDS = 60;
const TRIES = 4; // at least two, and more if it seems too slow: code is still being compiled
const HOPELESS = 4; // times too slow
const FORGOTTEN = 0.3; // the share of an older measurement that a newer one replaces
// A shader that differs by more than this from "double", in nats, is not taken: a driver may be wrong.
const [WORST, MEAN] = [0.03, 0.003];
/** @type {Window} */
const WINDOW = [[-2, 2], [-2, 2]];

/**
 * The largest of some numbers of nodes a side that can be computed within a time.
 *
 * @param {number[]} sides
 * @param {number} perNode
 * @param {number} most
 */
const largest = (sides, perNode, most) => sides.findLast((side) => side * side * perNode <= most) ?? sides[0];

/** What a flow is apart from its numbers. @param {Shape} shape */
const keyOf = ({ blocks, widths, branch, actnorm, activation }) =>
  JSON.stringify([blocks, widths, branch, actnorm, activation]);

/**
 * @param {string} name
 * @param {Shape} shape
 * @param {Branches} branches
 * @param {Shader | null} given
 * @returns {Candidate}
 */
function engineOf(name, shape, branches, given) {
  const key = keyOf(shape);
  let shader = given;
  /** @type {Flow | null} */
  let flow = null;
  /** @type {Message | null} */
  let message = null;
  let perNode = 0; // milliseconds

  const taken = () => {
    if (!message) throw new Error("No flow has been taken yet.");
    return message;
  };

  const loaded = () => {
    flow ??= flowOf(taken().shape, taken().numbers, branches);
    return flow;
  };

  const exactFlow = () => {
    const { shape: newest, numbers } = taken();
    return name === "double" ? loaded() : flowOf(newest, numbers, branchesInDouble(newest));
  };

  /** @param {number} spent @param {number} nodes */
  const learn = (spent, nodes) => {
    perNode += (perNode ? FORGOTTEN : 1) * (spent / nodes - perNode);
  };

  /** @param {Window} window @param {number} columns @param {number} rows */
  function* density(window, columns, rows) {
    let begin = performance.now();
    const drawn = shader?.density(window, columns, rows);
    if (drawn) {
      learn(performance.now() - begin, columns * rows);
      return drawn;
    }
    if (shader) [shader, perNode] = [null, 0]; // its context has been lost
    const pieces = logDensities(loaded(), gridPoints(window, columns, rows));
    for (let spent = 0; ; ) { // without the pauses
      begin = performance.now();
      const { done, value } = pieces.next();
      spent += performance.now() - begin;
      if (done) {
        learn(spent, columns * rows);
        return /** @type {Numbers} */ (value);
      }
      yield;
    }
  }

  /** Milliseconds for a node, this time. @param {number} side */
  const measured = (side) => {
    perNode = 0;
    finished(density(WINDOW, side, side));
    return perNode;
  };

  return {
    takes: (other) => keyOf(other) === key,
    load(newest) {
      [message, flow] = [newest, null];
      shader?.load(newest.numbers);
    },
    flow: loaded,
    exactFlow,
    density,
    /** Milliseconds for a node. */
    measure() {
      const [few, many] = PROBED;
      for (let k = 0; k < TRIES; k++) {
        const time = measured(few) * COARSE ** 2;
        if (time > HOPELESS * MOST_MILLISECONDS || (k > 0 && time <= MOST_MILLISECONDS)) break;
      }
      return perNode * many ** 2 > PROBED_MILLISECONDS ? perNode : measured(many);
    },
    isTrue() {
      if (!shader) return true;
      const [side] = PROBED;
      const known = finished(logDensities(exactFlow(), gridPoints(WINDOW, side, side)));
      const errors = Array.from(finished(density(WINDOW, side, side)), (value, i) => Math.abs(value - known[i]));
      const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
      return errors.every((error) => error <= WORST) && mean <= MEAN;
    },
    ability() {
      const milliseconds = COARSE * COARSE * perNode;
      return {
        engine: name === "webgl" && !shader ? "single" : name,
        milliseconds,
        moving: largest(MOVING, perNode, MOVING_MILLISECONDS),
        still: largest(STILL, perNode, STILL_MILLISECONDS),
        refuses: milliseconds > MOST_MILLISECONDS
          ? `A picture of ${COARSE} x ${COARSE} nodes takes ${Math.round(milliseconds)} ms on this machine; at most ` +
            `${MOST_MILLISECONDS} ms are allowed.`
          : "",
      };
    },
    end() {
      shader?.end();
      shader = null;
    },
  };
}

// In this order: "double" is taken only where there is nothing else.
/** @type {Record<string, (shape: Shape) => Candidate | null>} */
const KINDS = {
  webgl(shape) {
    const shader = shaderOf(shape);
    return shader && engineOf("webgl", shape, branchesInSingle(shape) ?? branchesInDouble(shape), shader);
  },
  single(shape) {
    const branches = branchesInSingle(shape);
    return branches && engineOf("single", shape, branches, null);
  },
  double: (shape) => engineOf("double", shape, branchesInDouble(shape), null),
};

/** The kinds that were the fastest, by what a flow is. @type {Map<string, string>} */
const fastest = new Map();

/**
 * The fastest engine for a flow, or the one with the name `force`. Throws an Error if there is none.
 *
 * @param {Message} message
 * @param {string} [force]
 * @returns {Engine}
 */
export function chosenEngine(message, force) {
  const key = keyOf(message.shape);
  const wanted = force ?? fastest.get(key);
  /** @type {Candidate | null} */
  let best = null;
  let least = Number.POSITIVE_INFINITY;
  for (const [name, make] of Object.entries(KINDS)) {
    if (wanted ? wanted !== name : best && name === "double") continue;
    const engine = make(message.shape);
    if (!engine) continue;
    engine.load(message);
    const spent = engine.isTrue() ? engine.measure() : Number.POSITIVE_INFINITY;
    if (spent < least) {
      best?.end();
      [best, least] = [engine, spent];
      if (!force) fastest.set(key, name);
    } else engine.end();
  }
  if (best) return best;
  if (!force && fastest.delete(key)) return chosenEngine(message); // it has none any more
  throw new Error(`This browser has no ${force}.`);
}
