/**
 * Where a page's flows are computed: one worker for all of them or, where the browser gives none, the page's own
 * thread, a few milliseconds at a time.
 */

/** @typedef {import("./service.js").Request} Request */
/** @typedef {import("./service.js").Reply} Reply */
/** @typedef {{evaluator: number, failed: string}} Failed */

/**
 * @typedef {object} Host
 * @property {boolean} isWorker
 * @property {(request: Request) => Promise<Reply>} handle  one at a time
 * @property {(evaluator: number) => void} forget
 * @property {() => void} end  what is under way is rejected
 */

const SLICE = 8; // milliseconds of work before the page has its turn

/**
 * Its modules are loaded when it is first asked: a page with a worker never needs them here.
 *
 * @returns {Host}
 */
export function onThisThread() {
  let begin = performance.now();
  /** @returns {Promise<void> | null} */
  const rest = () => {
    if (performance.now() - begin < SLICE) return null;
    return new Promise((resolve) => {
      setTimeout(() => {
        begin = performance.now();
        resolve();
      });
    });
  };
  /** @type {Promise<ReturnType<typeof import("./service.js").makeService>> | null} */
  let loading = null;
  return {
    isWorker: false,
    async handle(request) {
      loading ??= import("./service.js").then(({ makeService }) => makeService(rest));
      const service = await loading;
      begin = performance.now();
      return service.handle(request);
    },
    forget: (evaluator) => void loading?.then((service) => service.forget(evaluator)),
    end() {},
  };
}

/**
 * A worker; null where the browser refuses one.
 *
 * @param {() => void} lost  told when the worker has ended by itself, or could not begin
 * @returns {Host | null}
 */
export function inWorker(lost) {
  if (typeof Worker === "undefined") return null;
  /** @type {Worker} */
  let worker;
  try {
    worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "flow" });
  } catch {
    return null;
  }
  /** @type {{resolve: (reply: Reply) => void, reject: (error: Error) => void} | null} */
  let waiting = null;
  /** @param {(waiting: {resolve: (reply: Reply) => void, reject: (error: Error) => void}) => void} how */
  const settle = (how) => {
    const settled = waiting;
    waiting = null;
    if (settled) how(settled);
  };
  worker.onmessage = ({ data }) => {
    settle(({ resolve, reject }) => ("failed" in data ? reject(new Error(data.failed)) : resolve(data)));
  };
  worker.onerror = (event) => {
    event.preventDefault();
    worker.terminate();
    lost();
    settle(({ reject }) => reject(new Error("The worker has ended.")));
  };
  return {
    isWorker: true,
    handle: (request) => new Promise((resolve, reject) => {
      waiting = { resolve, reject };
      worker.postMessage(request);
    }),
    forget: (evaluator) => worker.postMessage({ evaluator, isForgotten: true }),
    end() {
      worker.terminate();
      settle(({ reject }) => reject(new Error("The worker was ended.")));
    },
  };
}
