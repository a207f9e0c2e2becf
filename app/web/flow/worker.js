/** The worker that computes for a page. */

import { makeService, transferable } from "./service.js";

/** @type {{onmessage: ((event: MessageEvent) => void) | null, postMessage: (data: any, transfer?: any[]) => void}} */
const port = /** @type {any} */ (globalThis);
const service = makeService(() => null);

port.onmessage = async ({ data }) => {
  if (data.isForgotten) return service.forget(data.evaluator);
  try {
    const reply = await service.handle(data);
    port.postMessage(reply, transferable(reply));
  } catch (error) {
    port.postMessage({ evaluator: data.evaluator, failed: String(error instanceof Error ? error.message : error) });
  }
};
