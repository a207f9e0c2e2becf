/**
 * The density that a flow believes in if it trusts a biased estimator of its log dets, in closed form from each block's
 * A: as the core has it (`resflow_core/estimators/moments/belief.py`).
 *
 *     exact      log|det(I + A)|
 *     truncated  sum_{k<=n} a_k tr(A^k),   a_k = (-1)^(k+1) / k
 *     roulette   log E exp(estimate), infinity if the expectation is infinite
 *
 * In the plane no power of A is computed: with t = tr A and D = det A,
 *
 *     A^k = u_k A - D u_{k-1} I,   u_0 = 0, u_1 = 1, u_{k+1} = t u_k - D u_{k-1}.
 */

import { finished, jacobiansOf } from "./evaluate.js";
import { LAWS, survivalTable } from "./laws.js";
import { PROBES } from "./probes.js";

/** @typedef {(a: number, b: number, c: number, d: number) => number} LogDet */

/**
 * An estimator as the core writes it: what it is, and its settings.
 *
 * @typedef {object} Estimator
 * @property {string} is
 * @property {number} [n_terms]
 * @property {number} [exact_traces]
 * @property {string} [probe]
 * @property {number} [n_probes]
 * @property {number} [n_draws]
 * @property {import("./laws.js").LawSettings} [law]
 */

// Eigenvalues of a defective matrix are known to about the square root of rounding.
const EIGENVALUE_ROUNDING = 1e-7;

/** a_k of log(1 + t) @param {number} k */
const coefficient = (k) => (k % 2 ? 1 : -1) / k;

/**
 * sum_{k<=n} a_k tr(A^k), by s_k = t s_{k-1} - D s_{k-2} with s_k = tr(A^k).
 *
 * @param {number} trace
 * @param {number} det
 * @param {number} n
 */
function firstTraces(trace, det, n) {
  let [before, here, sum] = [2, trace, 0];
  for (let k = 1; k <= n; k++) {
    sum += coefficient(k) * here;
    [before, here] = [here, trace * here - det * before];
  }
  return sum;
}

/** @param {number} x @param {number} y */
function logAddExp(x, y) {
  const larger = Math.max(x, y);
  return Number.isFinite(larger) ? larger + Math.log1p(Math.exp(-Math.abs(x - y))) : larger;
}

/** @returns {LogDet} */
const exact = () => (a, b, c, d) => Math.log(Math.abs((1 + a) * (1 + d) - b * c));

/** @param {Estimator} estimator @returns {LogDet} */
function truncated({ n_terms: terms = 0, exact_traces: exactly = 0 }) {
  const n = Math.max(terms, exactly);
  return (a, b, c, d) => firstTraces(a + d, a * d - b * c, n);
}

/**
 * log sum_n P(N = n) E_v exp(v'S_n v), S_n = sum_{k<=n} a_k / P(N >= k) sym(A^k), beside the exact traces, m in number,
 * where the sum begins with k = m + 1.
 *
 * @param {Estimator} estimator
 * @returns {LogDet}
 */
function roulette({ law: settings, probe: name = "", n_probes: probes = 1, n_draws: draws = 1, exact_traces: m = 0 }) {
  const law = settings && LAWS[settings.is]?.(settings);
  const probe = PROBES[name];
  if (!law || !probe) throw new Error(`There is no closed form for the probe ${name} and the law ${settings?.is}.`);
  if (draws > 1 && probe.spread(1, 1, probes) > 0) {
    throw new Error("log E exp(estimate) has no closed form for several draws of N that share noisy probes.");
  }
  const survival = survivalTable(law);
  const chances = [1, ...survival].map((chance, k) => chance - (survival[k] ?? 0));
  const logChances = chances.map((chance) => (chance > 0 ? Math.log(chance) : Number.NEGATIVE_INFINITY));
  const weights = survival.map((chance, k) => (k < m ? 0 : coefficient(k + 1) / chance));
  return (a, b, c, d) => {
    const [trace, det] = [a + d, a * d - b * c];
    const spread = probe.spread(a - d, b + c, probes);
    if (diverges(law.tailRatio, trace, (a - d) ** 2 + 4 * b * c, spread)) return Number.POSITIVE_INFINITY;
    let [x, y, u, before] = [0, 0, 1, 0];
    let total = logChances[0];
    for (let k = 0; k < weights.length; k++) {
      x += weights[k] * u;
      y -= weights[k] * det * before;
      if (chances[k + 1] > 0) {
        // Draws that share no noise are independent: E exp of their mean over M is (E_N exp(tr(S_N) / M))^M.
        const given = probe.logMeanExp((x * trace + 2 * y) / draws, (Math.abs(x) * spread) / draws, probes);
        // Where parts of the exponent overflow, it fell to minus infinity, or the expectation is infinite.
        if (!Number.isNaN(given)) total = logAddExp(total, logChances[k + 1] + given);
      }
      [u, before] = [trace * u - det * before, u];
    }
    return draws * total + firstTraces(trace, det, m);
  };
}

/**
 * Whether E exp(estimate) is infinite because its terms grow; the core's docstring has the derivation.
 *
 * @param {number} tailRatio
 * @param {number} trace
 * @param {number} discriminant  (lambda_1 - lambda_2)^2
 * @param {number} spread
 */
function diverges(tailRatio, trace, discriminant, spread) {
  const limit = tailRatio + EIGENVALUE_ROUNDING;
  if (discriminant < 0) return (trace ** 2 - discriminant) / 4 > limit ** 2;
  const gap = Math.sqrt(discriminant);
  const first = (trace + (trace < 0 ? -gap : gap)) / 2;
  if (trace === 0) return first > limit && spread > 2 * limit;
  const vanishes = Math.abs(spread - gap) <= 1e-12 * gap;
  return first > limit || (vanishes && trace - first > limit) || (!vanishes && spread > gap && first < -limit);
}

/** @type {Record<string, (estimator: Estimator) => LogDet>} */
const BELIEFS = { exact, truncated, roulette };

/**
 * The log det in nats that a flow believes in, of one A. Throws an Error, which says why, if it has no closed form.
 *
 * @param {Estimator} estimator
 * @returns {LogDet}
 */
export function believedLogDet(estimator) {
  const belief = BELIEFS[estimator.is];
  if (!belief) throw new Error(`There is no closed form for ${estimator.is}.`);
  return belief(estimator);
}

/**
 * log p of points in nats as the estimator makes the flow believe, which can be infinite. Throws as `believedLogDet`.
 *
 * @param {import("./evaluate.js").Flow} flow
 * @param {import("./branches.js").Numbers} points
 * @param {Estimator} estimator
 * @returns {Generator<void, Float64Array, void>}
 */
export function* believedLogDensities(flow, points, estimator) {
  const logDet = believedLogDet(estimator);
  const { blocks } = flow.shape;
  const atATime = 2 * flow.branches.most;
  const found = new Float64Array(points.length / 2);
  for (let start = 0; start < points.length; start += atATime) {
    const { jacobians, logNormals } = finished(jacobiansOf(flow, points.subarray(start, start + atATime)));
    for (const [i, ofBase] of logNormals.entries()) {
      let sum = ofBase + flow.logScales;
      for (let at = 4 * i * blocks; at < 4 * (i + 1) * blocks; at += 4) {
        sum += logDet(jacobians[at], jacobians[at + 1], jacobians[at + 2], jacobians[at + 3]);
      }
      found[start / 2 + i] = sum;
    }
    yield;
  }
  return found;
}
