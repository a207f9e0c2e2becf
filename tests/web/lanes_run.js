/** A tape in single precision, run by WebAssembly on an array. */

import { written } from "../../app/web/flow/lanes.js";
import { makeBody, moduleOf } from "../../app/web/flow/wasm.js";

/**
 * @param {import("../../app/web/flow/tape.js").Tape} tape
 * @param {number[]} z
 */
export function laneRun(tape, z) {
  const bytes = 4 * 4 * Math.ceil(z.length / 4);
  const body = makeBody(1);
  const [at, vector] = [body.newWhole(), body.newVector()];
  body.loop(at, () => body.get(0), () => {
    body.get(at);
    body.load();
    body.set(vector);
    for (const [k, result] of Object.values(written(body, tape, vector, true)).entries()) {
      body.get(at);
      body.get(result);
      body.store((k + 1) * bytes);
    }
    body.advance(at, 16);
  });
  const module = new WebAssembly.Module(moduleOf({ run: body }, 1, 3 * bytes));
  const { memory, run } = /** @type {any} */ (new WebAssembly.Instance(module).exports);
  new Float32Array(memory.buffer).set(z);
  run(bytes);
  const [value, slope] = [1, 2].map((k) => new Float32Array(memory.buffer, k * bytes, z.length));
  return { value, slope };
}
