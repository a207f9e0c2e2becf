// The loss pane: state -> picture.

import { MARGIN } from "../canvas/plane.js";
import { COLOURS } from "./theme.js";

/** @import { Layer, LineLayer, Picture, Place, Window } from "../canvas/types.js" */
/** @import { Curves, Painter } from "./types.js" */

/**
 * Undefined where there are none.
 * @type {(sorted: ArrayLike<number>, q: number) => number}
 */
export const quantile = (sorted, q) => sorted[Math.max(0, Math.round(q * (sorted.length - 1)))];

/**
 * The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten: an axis rests while the curve grows into it.
 * @type {(value: number) => number}
 */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 1.5, 2, 3, 4, 5, 6, 8].find((m) => m * power >= value) ?? 10);
}

/**
 * Ranges that show the curve: its first 5 % of steps (often huge) and its highest 3 % may leave the pane, but not the
 * newest held-out loss, nor the lowest that training believes in: below the entropy it is what one looks for.
 * @type {(loss: Curves | null, floor: number | null) => Window}
 */
function lossRanges(loss, floor) {
  const last = loss?.step.at(-1);
  if (!loss || !last) return [[0, 100], floor === null ? [0, 5] : [floor - 0.5, floor + 2.5]];
  /** @type {(steps: number[], values: (number | null)[]) => number[]} */
  const late = (steps, values) => values.flatMap((v, i) => (v !== null && steps[i] >= 0.05 * last ? v : []));
  const believed = loss.held_believed ? late(loss.held_step, loss.held_believed) : [];
  const values = [...late(loss.step, loss.batch_nll), ...late(loss.held_step, loss.held_nll), ...believed]
    .sort((a, b) => a - b);
  if (!values.length) return lossRanges(null, floor);
  const lowest = quantile(believed.sort((a, b) => a - b), 0.03) ?? Infinity;
  const low = Math.min(quantile(values, 0.01), floor ?? Infinity, lowest);
  const newest = loss.held_nll.findLast((v) => v !== null) ?? -Infinity;
  const high = Math.max(quantile(values, 0.97), newest);
  const tick = roundUp(Math.max(high - low, 0.2) / 8);
  return [[0, roundUp(last)], [Math.floor(low / tick - 0.4) * tick, Math.ceil(high / tick + 0.2) * tick]];
}

/** @type {Painter} */
export function paneLoss(view, theme) {
  const { scene: { loss, floor, loss_unit: unit }, layers: { loss: on } } = view;
  const [xRange, yRange] = view.zoom.loss ?? lossRanges(loss, floor);
  /** @type {Layer[]} */
  const layers = [];
  if (loss) {
    /** @type {(values: (number | null)[]) => Float64Array} */
    const numbers = (values) => Float64Array.from(values, (v) => v ?? NaN);
    const [held, errors] = [numbers(loss.held_nll), numbers(loss.held_se)];
    layers.push(
      {
        kind: "line",
        name: "batch",
        x: loss.step,
        y: numbers(loss.batch_nll),
        width: 1,
        colour: theme.ink(0.25),
        visible: on.batch,
      },
      {
        kind: "band",
        name: "held-out ± 2 standard errors",
        x: loss.held_step,
        low: held.map((v, i) => v - 2 * errors[i]),
        high: held.map((v, i) => v + 2 * errors[i]),
        colour: "rgba(213,94,0,0.22)",
        visible: on.held,
      },
      {
        kind: "line",
        name: "held-out",
        x: loss.held_step,
        y: held,
        width: 2.4,
        colour: COLOURS.held,
        visible: on.held,
      },
    );
    if (loss.held_believed) {
      layers.push({ kind: "line", name: "believed", x: loss.held_step, y: numbers(loss.held_believed), width: 2.4,
        colour: theme.grid, dash: [6, 4], visible: on.believed });
    }
  }
  if (floor !== null) {
    const avoids = seenLines(layers);
    layers.push({ kind: "level", y: floor, text: "entropy of the data", avoids, colour: theme.ink(0.7) });
  }
  return { x: { title: "step", range: xRange }, y: { title: `NLL (${unit})`, range: yRange }, layers, margin: MARGIN };
}

/** @type {(layers: Layer[]) => LineLayer[]} */
const seenLines = (layers) =>
  layers.filter((layer) => layer.kind === "line").filter(({ visible }) => visible !== false);

/**
 * The losses at the step nearest to the pointer, in words.
 * @type {(picture: Picture, place: Place, unit: string) => string}
 */
export function toldLosses({ layers }, [step], unit) {
  const lines = seenLines(layers).filter(({ x }) => x.length);
  return lines.map(({ name, x, y }) => {
    let nearest = 0;
    x.forEach((at, i) => { if (Math.abs(at - step) < Math.abs(x[nearest] - step)) nearest = i; });
    return `${name}: ${y[nearest].toFixed(3)} ${unit} at step ${x[nearest].toLocaleString("en")}`;
  }).join("\n");
}
