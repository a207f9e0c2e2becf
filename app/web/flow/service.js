/**
 * What computes for a page, in a worker or, where there is none, on the page's own thread: flows that have been taken,
 * and answers to what is asked of them.
 */

import { believedLogDensities } from "./belief.js";
import { gridPoints, logDensities, stages, termsOf } from "./evaluate.js";
import { inverseOf } from "./inverse.js";
import { decodeMessage } from "./message.js";
import { chosenEngine } from "./probe.js";

/** @typedef {import("./branches.js").Numbers} Numbers */
/** @typedef {import("./evaluate.js").Flow} Flow */
/** @typedef {import("./probe.js").Engine} Engine */
/** @typedef {import("./probe.js").Ability} Ability */
/** @typedef {[[number, number], [number, number]]} Window */

/**
 * What can be asked of a flow. Points are (x, y) one after the other.
 *
 * @typedef {{kind: "density", window: Window, columns: number, rows: number}
 *   | {kind: "logProb", points: Numbers}
 *   | {kind: "stages", points: Numbers, depth?: number}
 *   | {kind: "samples", noise: Numbers}
 *   | {kind: "terms", point: [number, number]}
 *   | {kind: "belief", window: Window, columns: number, rows: number,
 *      estimator: import("./belief.js").Estimator}} Ask
 */

/**
 * @typedef {object} Request
 * @property {number} evaluator  whose flow it is
 * @property {ArrayBuffer} [message]  its newest message, if there is a new one
 * @property {Ask[]} asks
 * @property {string} [force]  the name of the only engine that may be taken
 */

/**
 * @typedef {object} Reply
 * @property {number} evaluator
 * @property {number} step
 * @property {unknown} run
 * @property {number} blocks
 * @property {Ability} ability
 * @property {Array<Record<string, any>>} answers  one for each ask: what was found, or {error}
 */

/**
 * A flow as it was taken last, with what is kept from one answer to the next.
 *
 * @typedef {object} Taken
 * @property {import("./message.js").Message} message
 * @property {Engine} engine
 * @property {{noise: Numbers, ways: Numbers} | null} last  the search for the last samples, from which the next begins
 */

/** @param {Numbers} a @param {Numbers} b */
const areSame = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

/**
 * @param {() => Promise<void> | null} pause  what is waited for between two pieces of work; null: nothing
 */
export function makeService(pause) {
  /** @type {Map<number, Taken>} */
  const flows = new Map();

  /**
   * @template T
   * @param {Generator<void, T, void>} pieces
   * @returns {Promise<T>}
   */
  async function worked(pieces) {
    for (;;) {
      const { done, value } = pieces.next();
      if (done) return /** @type {T} */ (value);
      const waiting = pause();
      if (waiting) await waiting;
    }
  }

  /** @param {Taken} taken @param {Flow} flow @param {Numbers} noise */
  async function samplesOf(taken, flow, noise) {
    const { last } = taken;
    const isKnown = last && areSame(last.noise, noise) && last.ways.length === flow.shape.blocks * noise.length;
    let found = await worked(inverseOf(flow, noise, isKnown ? last.ways : null));
    // From far away it may take longer than from the noise itself.
    if (isKnown && found.refusal) found = await worked(inverseOf(flow, noise));
    taken.last = found.refusal ? null : { noise, ways: found.ways };
    return { points: found.points, refusal: found.refusal };
  }

  /** @param {Taken} taken @param {Ask} ask @returns {Promise<Record<string, any>>} */
  async function answered(taken, ask) {
    const { engine, message } = taken;
    if (ask.kind === "density") {
      const { window, columns, rows } = ask;
      return { logProb: await worked(engine.density(window, columns, rows)), window, columns, rows };
    }
    if (ask.kind === "terms") return termsOf(engine.exactFlow(), ask.point);
    const flow = engine.flow();
    if (ask.kind === "logProb") return { logProb: await worked(logDensities(flow, ask.points)) };
    if (ask.kind === "samples") return samplesOf(taken, flow, ask.noise);
    if (ask.kind === "belief") {
      const { window, columns, rows, estimator } = ask;
      const points = gridPoints(window, columns, rows);
      return { logProb: await worked(believedLogDensities(flow, points, estimator)), window, columns, rows };
    }
    const found = await worked(stages(flow, ask.points));
    const size = ask.points.length;
    if (ask.depth === undefined) return { stages: found, count: message.shape.blocks + 2 };
    return { stages: found.slice(ask.depth * size, (ask.depth + 1) * size), count: 1 };
  }

  /** @param {Request} request */
  function take({ evaluator, message, force }) {
    const before = flows.get(evaluator);
    if (!message) return before;
    const decoded = decodeMessage(message);
    const like = before?.engine.takes(decoded.shape) ? before : null;
    if (!like) before?.engine.end();
    const engine = like?.engine ?? chosenEngine(decoded, force);
    engine.load(decoded);
    const taken = { message: decoded, engine, last: like?.last ?? null };
    flows.set(evaluator, taken);
    return taken;
  }

  return {
    /**
     * Everything that is asked, of one and the same step.
     *
     * @param {Request} request
     * @returns {Promise<Reply>}
     */
    async handle(request) {
      const taken = take(request);
      if (!taken) throw new Error("No flow has been taken yet.");
      const answers = [];
      for (const ask of request.asks) {
        try {
          answers.push(await answered(taken, ask));
        } catch (error) {
          answers.push({ error: String(error instanceof Error ? error.message : error) });
        }
      }
      const { message: { step, run, shape }, engine } = taken;
      return { evaluator: request.evaluator, step, run, blocks: shape.blocks, ability: engine.ability(), answers };
    },
    /** @param {number} evaluator */
    forget(evaluator) {
      flows.get(evaluator)?.engine.end();
      flows.delete(evaluator);
    },
  };
}

/** The memory of a reply that can be handed over in place of a copy. @param {Reply} reply @returns {ArrayBuffer[]} */
export function transferable({ answers }) {
  const buffers = answers.flatMap((answer) => Object.values(answer).filter(ArrayBuffer.isView).map((v) => v.buffer));
  return /** @type {ArrayBuffer[]} */ ([...new Set(buffers)]);
}
