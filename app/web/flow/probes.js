/**
 * Hutchinson's probes v in the plane: the mean of v'Sv over the K probes of a point, as the core has it
 * (`resflow_core/probes.py`).
 *
 * S enters by its trace, by S_11 - S_22 and by 2 S_12.
 */

/**
 * @typedef {object} Probe
 * @property {(difference: number, twiceOff: number, count: number) => number} spread  the largest distance of the mean
 *   from the trace; of Gaussian probes, whose length varies, the difference of the eigenvalues
 * @property {(trace: number, spread: number, count: number) => number} logMeanExp  log E exp(mean of v'Sv)
 */

const SERIES_UP_TO = 30;

/** log of exp(-x) I_0(x), for x >= 0: by its series, whose terms are positive, or far out by its asymptotic one. */
/** @param {number} x */
export function logScaledBessel(x) {
  let term = 1;
  let sum = 1;
  if (x < SERIES_UP_TO) {
    for (let k = 1; term > 1e-17 * sum; k++) {
      term *= (x / (2 * k)) ** 2;
      sum += term;
    }
    return Math.log(sum) - x;
  }
  for (let k = 1; term > 1e-17; k++) {
    term *= (2 * k - 1) ** 2 / (8 * k * x);
    sum += term;
  }
  return Math.log(sum) - 0.5 * Math.log(2 * Math.PI * x);
}

/** v'Sv = tr S + gap cos(angle): E exp = exp(tr S) I_0(gap / K)^K */
/** @param {number} trace @param {number} gap @param {number} count */
const onCircle = (trace, gap, count) => trace + gap + count * logScaledBessel(gap / count);

/** @type {Record<string, Probe>} */
export const PROBES = {
  gaussian: {
    spread: (difference, twiceOff) => Math.hypot(difference, twiceOff),
    /** E exp = det(I - 2 S / K)^(-K/2) as long as both eigenvalues of S are below K / 2. */
    logMeanExp(trace, gap, count) {
      if (!(trace + gap < count)) return Number.POSITIVE_INFINITY;
      return (-count / 2) * (Math.log1p(-(trace + gap) / count) + Math.log1p(-(trace - gap) / count));
    },
  },
  rademacher: {
    spread: (_, twiceOff) => Math.abs(twiceOff),
    /** v_1 v_2 is a sign: E exp = exp(tr S) cosh(2 S_12 / K)^K */
    logMeanExp: (trace, spread, count) =>
      trace + spread + count * (Math.log1p(Math.exp((-2 / count) * spread)) - Math.LN2),
  },
  sphere: {
    spread: (difference, twiceOff) => Math.hypot(difference, twiceOff),
    logMeanExp: onCircle,
  },
  orthogonal: {
    /** Pairs give the trace; one probe that is left over is one of K. */
    spread: (difference, twiceOff, count) => Math.hypot(difference, twiceOff) * ((count % 2) / count),
    logMeanExp: (trace, spread) => onCircle(trace, spread, 1),
  },
};
