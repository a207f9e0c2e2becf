/** Reads requests as JSON and writes what the evaluator makes of each, for `test_evaluator.py`. No test by itself. */

import { readFileSync, writeFileSync } from "node:fs";
import { believedLogDensities } from "../../app/web/flow/belief.js";
import { branchesInDouble } from "../../app/web/flow/branches.js";
import { runner } from "../../app/web/flow/double.js";
import { finished, flowOf, logDensities, stages, termsOf } from "../../app/web/flow/evaluate.js";
import { tapeOf } from "../../app/web/flow/expression.js";
import { inverseOf } from "../../app/web/flow/inverse.js";
import { decodeMessage } from "../../app/web/flow/message.js";
import { branchesInSingle } from "../../app/web/flow/simd.js";
import { singleRecorder } from "../../app/web/flow/single.js";
import { laneRun } from "./lanes_run.js";

/** JSON has no number that is not finite: such numbers become texts. @param {unknown} _ @param {unknown} value */
const plain = (_, value) => {
  if (ArrayBuffer.isView(value)) return [.../** @type {Float64Array} */ (value)];
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
};

/** @param {any} request */
function answer({ engine, tree, z, message, shape, numbers, points, targets, tolerance, point, estimators }) {
  const make = engine === "single" ? branchesInSingle : branchesInDouble;
  if (tree !== undefined) {
    if (engine === "single") return laneRun(tapeOf(tree, singleRecorder()), z);
    const { value, slope } = runner(tapeOf(tree), z.length, true)(Float64Array.from(z), z.length);
    return { value, slope };
  }
  const given = message ? decodeMessage(Uint8Array.from(Buffer.from(message, "base64")).buffer) : { shape, numbers };
  const branches = make(given.shape);
  if (!branches) throw new Error("Node has WebAssembly.");
  const flow = flowOf(given.shape, Float64Array.from(given.numbers), branches);
  const x = Float64Array.from(points);
  /** @param {any} from */
  const inverseFrom = (from) => finished(inverseOf(flow, Float64Array.from(targets), from, tolerance));
  const inverse = targets && inverseFrom(null);
  return {
    logProb: finished(logDensities(flow, x)),
    stages: finished(stages(flow, x)),
    terms: termsOf(flow, point),
    inverse,
    again: inverse && !inverse.refusal && inverseFrom(inverse.ways),
    beliefs: (estimators ?? []).map((/** @type {any} */ one) => finished(believedLogDensities(flow, x, one))),
  };
}

const requests = JSON.parse(readFileSync(0, "utf8"));
writeFileSync(1, JSON.stringify(requests.map(answer), plain));
