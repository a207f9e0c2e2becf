/**
 * The evaluator of a flow, as a page uses it.
 *
 *     const evaluator = openEvaluator();
 *     evaluator.take(message);                               // the newest weights; earlier ones that wait are dropped
 *     const picture = await evaluator.density({ window, columns: 40, rows: 40 });
 *     if (picture) draw(picture.logProb, picture.step);      // null: a later request took its place
 *     evaluator.close();
 *
 * What is asked in one turn of the page is answered of one and the same step. A request that still waits when another
 * of its kind comes is dropped: its promise resolves to null. So a slow machine skips pictures and never falls behind.
 */

import { inWorker, onThisThread } from "./host.js";

/** @typedef {import("./branches.js").Numbers} Numbers */
/** @typedef {import("./host.js").Host} Host */
/** @typedef {import("./probe.js").Ability} Ability */
/** @typedef {import("./service.js").Ask} Ask */
/** @typedef {import("./service.js").Window} Window */

/** Which flow an answer is of. @typedef {{step: number, run: unknown, blocks: number}} Of */
/** @typedef {Of & {window: Window, columns: number, rows: number, logProb: Numbers}} Density  in nats, y ascending */
/** @typedef {Of & {stages: Numbers, count: number}} Stages  `count` times the points: x, after each block, z */
/** @typedef {Of & {points: Numbers, refusal: string}} Samples  none where there is a refusal */
/** @typedef {Of & import("./evaluate.js").Terms} PointTerms */

/**
 * @typedef {object} Options
 * @property {string} [force]  the only engine that may be taken, as "double"
 * @property {boolean} [worker]  false: on the page's own thread
 */

/**
 * @typedef {object} Evaluator
 * @property {(message: ArrayBuffer) => void} take
 * @property {(ask: {window: Window, columns: number, rows: number}) => Promise<Density | null>} density
 * @property {(points: Numbers) => Promise<(Of & {logProb: Numbers}) | null>} logProb
 * @property {(points: Numbers, depth?: number) => Promise<Stages | null>} stages  all of them, or the one of a depth: 0
 *   for x, the number of blocks + 1 for z
 * @property {(noise: Numbers) => Promise<Samples | null>} samples  the inverse of the same noise, again and again
 * @property {(point: [number, number]) => Promise<PointTerms | null>} terms
 * @property {(ask: {window: Window, columns: number, rows: number,
 *   estimator: import("./belief.js").Estimator}) => Promise<Density | null>} belief
 * @property {() => Ability | null} ability  what the machine can do with the flow; null before the first answer
 * @property {() => string} refuses  why the flow cannot be drawn here; "" while nothing speaks against it. One that is
 *   only too slow still answers
 * @property {Promise<Ability | null>} ready  resolves when the first flow has been probed; null if it cannot be taken
 * @property {() => void} close
 */

/** @typedef {{ask: Ask, resolve: (answer: any) => void, reject: (error: Error) => void}} Waiting */

/**
 * The requests of one evaluator that are not yet under way.
 *
 * @typedef {object} Queue
 * @property {ArrayBuffer | null} newest  a message that was not yet handed over
 * @property {ArrayBuffer | null} taken  the last one that was, for another host
 * @property {Map<string, Waiting>} waiting  by kind
 * @property {boolean} isProbing  whether its first flow is to be probed
 * @property {string} [force]
 * @property {(ability: Ability | null, refusal: string) => void} told
 */

/** @type {Map<number, Queue>} */
const queues = new Map();
/** @type {Host | null} */
let host = null;
let isBusy = false;
let hasLostWorker = false;
let count = 0;

/** @param {boolean} mayWork */
function hostOf(mayWork) {
  host ??= (mayWork && !hasLostWorker && inWorker(forgetWorker)) || onThisThread();
  return host;
}

function forgetWorker() {
  [host, hasLostWorker] = [null, true];
  for (const queue of queues.values()) queue.newest ??= queue.taken;
}

/** Hand the next evaluator's requests over, unless others are under way. @param {boolean} mayWork */
async function proceed(mayWork) {
  if (isBusy) return;
  const next = [...queues].find(([, { newest, taken, waiting, isProbing }]) =>
    (newest || taken) && (waiting.size || isProbing));
  if (!next) return;
  const [evaluator, queue] = next;
  isBusy = true;
  queues.delete(evaluator); // to the end of the line
  queues.set(evaluator, queue);
  const asked = [...queue.waiting.values()];
  const message = queue.newest ?? undefined;
  queue.taken = queue.newest ?? queue.taken;
  queue.newest = null;
  queue.isProbing = false;
  queue.waiting.clear();
  try {
    const request = { evaluator, message, asks: asked.map(({ ask }) => ask), force: queue.force };
    const { answers, ability, step, run, blocks } = await hostOf(mayWork).handle(request);
    queue.told(ability, "");
    for (const [k, { resolve, reject }] of asked.entries()) {
      if ("error" in answers[k]) reject(new Error(answers[k].error));
      else resolve({ ...answers[k], step, run, blocks });
    }
  } catch (error) {
    if (hasLostWorker && queue.newest) {
      queue.isProbing = true; // once more, here
      for (const one of asked) if (!queue.waiting.has(one.ask.kind)) queue.waiting.set(one.ask.kind, one);
    } else if (!queues.has(evaluator)) {
      for (const { resolve } of asked) resolve(null);
    } else {
      queue.told(null, String(error instanceof Error ? error.message : error));
      for (const { reject } of asked) reject(/** @type {Error} */ (error));
    }
  } finally {
    isBusy = false;
    proceed(mayWork);
  }
}

/**
 * @param {Options} [options]
 * @returns {Evaluator}
 */
export function openEvaluator({ force, worker = true } = {}) {
  const evaluator = count++;
  /** @type {Ability | null} */
  let known = null;
  let refusal = "";
  /** @type {(ability: Ability | null) => void} */
  let tellReady = () => {};
  /** @type {Promise<Ability | null>} */
  const ready = new Promise((resolve) => {
    tellReady = resolve;
  });
  /** @type {Queue} */
  const queue = {
    newest: null,
    taken: null,
    waiting: new Map(),
    isProbing: true,
    force,
    told(ability, said) {
      [known, refusal] = [ability ?? known, ability?.refuses ?? said];
      tellReady(ability);
    },
  };
  queues.set(evaluator, queue);
  // What is asked in one turn goes together.
  const go = () => queueMicrotask(() => proceed(worker));

  /** @param {Ask} ask @returns {Promise<any>} */
  const asked = (ask) => new Promise((resolve, reject) => {
    if (!queues.has(evaluator)) return resolve(null);
    if (refusal && !known && !queue.newest) return reject(new Error(refusal)); // the flow could not be taken
    queue.waiting.get(ask.kind)?.resolve(null);
    queue.waiting.set(ask.kind, { ask, resolve, reject });
    go();
  });

  return {
    take(message) {
      queue.newest = message;
      go();
    },
    density: (ask) => asked({ kind: "density", ...ask }),
    logProb: (points) => asked({ kind: "logProb", points }),
    stages: (points, depth) => asked({ kind: "stages", points, depth }),
    samples: (noise) => asked({ kind: "samples", noise }),
    terms: (point) => asked({ kind: "terms", point }),
    belief: (ask) => asked({ kind: "belief", ...ask }),
    ability: () => known,
    refuses: () => refusal,
    ready,
    close() {
      for (const { resolve } of queue.waiting.values()) resolve(null);
      queues.delete(evaluator);
      host?.forget(evaluator);
      if (queues.size) return;
      host?.end();
      host = null;
    },
  };
}
