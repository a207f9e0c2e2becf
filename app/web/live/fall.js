// The waterfall of the pinned point on paper: a picture with axes, and its terms in numbers.

import { csvOf, panelOf } from "../canvas/panel.js";
import { partOfKind } from "../part.js";
import { atProbe } from "./point.js";
import { toShown } from "./probe.js";
import { fallOf, nats, SIGNS } from "./waterfall.js";

/** @import { Cell } from "../canvas/panel.js" */
/** @import { Layer, Panel, Picture, Table, Theme } from "../canvas/types.js" */
/** @import { Known, Measured } from "./point.js" */
/** @import { View } from "./types.js" */

/** @typedef {{ name: string, value: number | null, mean?: number | null, deviation?: number | null }} Term */

const FALL_ON_PAPER = { least: 360, most: 760, height: 190, bar: 11 }; // pixels

/**
 * The terms of a point's log density from x to z: {name, value} each, of a block with what training estimates.
 * @type {(at: Known) => Term[]}
 */
const fallTerms = ({ step, actnorm, log_dets: logDets, log_normal: base, server }) => [
  { name: "ActNorm", value: actnorm },
  ...logDets.map((value, k) => ({ name: `block ${k + 1}: log det(I + A)`, value, ...estimated(step, server, k) })),
  { name: "log N(z; 0, I)", value: base },
];

/**
 * What training estimates of a block at this step.
 * @type {(step: number, server: Measured | null, k: number) => Partial<Term>}
 */
const estimated = (step, server, k) =>
  (server?.step === step ? { mean: server.means[k], deviation: server.deviations[k] } : {});

/**
 * From x at the left to z at the right. Each bar begins where the one to its right ends.
 * @type {(at: Known, unit: string, theme: Theme) => Picture}
 */
function fallPicture(at, unit, theme) {
  const [bars, base, last] = [fallOf(at), at.log_normal ?? NaN, at.log_dets.length + 1];
  const [{ to: sum }] = bars;
  const heights = [base, ...bars.map(({ to }) => to)];
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const room = 0.15 * (high - low || 1);
  /** @type {(x: number[], y: number[], look: { colour: string, width: number }) => Layer} */
  const line = (x, y, look) => ({ kind: "line", x, y, ...look });
  const names = [
    { value: 0, text: "ActNorm" },
    ...at.log_dets.map((_, k) => ({ value: k + 1, text: `${k + 1}` })),
    { value: last, text: "N(z)" },
  ];
  return {
    x: {
      title: "block, from x to z", range: [-0.7, last + 0.7],
      ticks: (_, wanted) =>
        names.filter(({ value }) => [0, last].includes(value) || value % Math.ceil(last / Math.max(1, wanted)) === 0),
    },
    y: { title: `sum from z on (${unit})`, range: [low - room, high + room] },
    layers: [
      { kind: "level", y: sum, text: `log p(x) = ${nats(sum)}`, above: sum < (low + high) / 2, colour: theme.ink(0.8) },
      ...bars.map(({ from }, k) => line([k, k + 1], [from, from], { colour: theme.ink(0.4), width: 1 })),
      ...bars.map(({ value, from, to }, k) =>
        line([k, k], [from, to], { colour: value < 0 ? SIGNS.less : SIGNS.more, width: FALL_ON_PAPER.bar })),
      { kind: "points", x: [last], y: [base], marker: { size: 9, symbol: "circle", colour: "#1d1d1f" } },
    ],
  };
}

/**
 * The waterfall that is seen as a panel, and its table; null where no point is pinned, or none of it is known.
 * @type {(view: View, theme: Theme) => { panel: Panel, table: Table } | null}
 */
export function fallTaken(view, theme) {
  const [svg, at, { x }] = [partOfKind(view.root, ".live-fall", SVGElement), atProbe(view), view.probe];
  if (!at || !x || !svg.getClientRects().length) return null;
  const terms = fallTerms(at);
  if (terms.some(({ value }) => value === null)) return null;
  const place = toShown(view, x).map((value) => Number(value.toPrecision(6)));
  const [title, { loss_unit: unit }] = ["log p(x) of the chosen point", view.scene];
  const rows = [...terms, { name: "log p(x)", value: at.log_prob }];
  /** @type {(term: Partial<Term>) => Cell[]} */
  const cells = ({ mean = null, deviation = null }) => [mean ?? "", deviation ?? ""];
  const head = ["term", `value (${unit})`, "mean of training's estimate", "its standard deviation"];
  return {
    panel: panelOf({
      title,
      note: `x = (${place.join(", ").replaceAll("-", "−")}), at step ${at.step.toLocaleString("en")}. ` +
        "Orange adds to it, blue takes away from it.",
      alt: svg.getAttribute("aria-label") ?? "",
      picture: fallPicture(at, unit, theme),
      width: Math.max(FALL_ON_PAPER.least, Math.min(FALL_ON_PAPER.most, svg.clientWidth)),
      height: FALL_ON_PAPER.height,
      legend: [],
    }),
    table: { title, text: () => csvOf(head, rows.map((term) => [term.name, term.value ?? "", ...cells(term)])) },
  };
}
