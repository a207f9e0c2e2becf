/** Laws of the number of terms N of a roulette estimator, as the core has them (`resflow_core/roulette.py`). */

/**
 * A law as the core writes it: what it is, and its settings.
 *
 * @typedef {{is: string, p?: number, lam?: number, n_exact?: number, table?: number[]}} LawSettings
 */

/**
 * @typedef {object} Law
 * @property {(k: number) => number} survival  P(N >= k) for k >= 0
 * @property {number} tailRatio  the limit of P(N >= k + 1) / P(N >= k)
 */

/** A term that is reached with a smaller probability changes no sum of doubles. */
const RAREST = 1e-16;

/** N = n_exact + Geometric(p) on {0, 1, ...} @param {LawSettings} settings @returns {Law} */
function geometric({ p = 0, n_exact: exact = 0 }) {
  return { tailRatio: 1 - p, survival: (k) => (1 - p) ** Math.max(0, k - exact) };
}

/**
 * N = n_exact + Poisson(lambda): P(N >= n_exact + j) = exp(-lambda) sum_{i >= j} lambda^i / i!
 *
 * @param {LawSettings} settings
 * @returns {Law}
 */
function poisson({ lam = 1, n_exact: exact = 0 }) {
  return {
    tailRatio: 0,
    survival(k) {
      const j = k - exact;
      if (j < 1) return 1;
      let term = Math.exp(-lam);
      for (let i = 1; i <= j; i++) term *= lam / i;
      let sum = 0;
      for (let i = j + 1; term > 1e-17 * sum; i++) {
        sum += term;
        term *= lam / i;
      }
      return sum;
    },
  };
}

/** P(N >= k) from a table, which goes on with its last ratio. @param {LawSettings} settings @returns {Law} */
function custom({ table = [] }) {
  const all = [1, ...table];
  const last = all.length - 1;
  const tailRatio = all[last] / all[last - 1];
  return { tailRatio, survival: (k) => all[Math.min(k, last)] * tailRatio ** Math.max(0, k - last) };
}

/** @type {Record<string, (settings: LawSettings) => Law>} */
export const LAWS = { geometric, poisson, custom };

/** P(N >= 1), P(N >= 2), ... up to the last that counts. @param {Law} law @returns {number[]} */
export function survivalTable(law) {
  const table = [];
  for (let k = 1; ; k++) {
    const chance = law.survival(k);
    if (!(chance >= RAREST)) return table;
    table.push(chance);
  }
}
