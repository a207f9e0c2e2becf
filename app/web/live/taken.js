// What can be taken away of the live picture: its panes as one figure, in the colours of paper, and their numbers.

import { paperTheme } from "../canvas/page.js";
import { csvOf, panelOf, tableOf } from "../canvas/panel.js";
import { PANES } from "./element.js";
import { fallTaken } from "./fall.js";
import { painterOf } from "./parts.js";
import { COLOURS } from "./theme.js";
import { goTo, isPast, leavePast, momentsOf, readoutsShown } from "./time.js";
import { stepReadout } from "./words.js";

/** @import { Figure, Film, Layer, Picture, PointsLayer } from "../canvas/types.js" */
/** @import { LiveTheme, PaneName, View } from "./types.js" */
/** @import { Said } from "./words.js" */

/** @type {Record<string, string>} */
const CALLED = {
  data: "held-out data",
  samples: "samples of the flow",
  grid: "grid of straight lines in the data space",
  batch: "NLL of each batch",
  "held-out": "held-out NLL ± 2 standard errors",
  believed: "held-out NLL that training believes in",
};
const KINDS_IN_LEGEND = ["points", "line"];
/** @type {PointsLayer} */
const NO_POINTS = { kind: "points", x: [], y: [] };
const WAIT_MS = 10; // until it is asked again whether a picture is drawn

/** @type {(view: View) => LiveTheme} */
const paperOf = (view) => ({ ...paperTheme(view.root), grid: COLOURS.gridLight });

/**
 * What a pane is called on the page now.
 * @type {(view: View, name: PaneName) => string}
 */
function titleOfPane(view, name) {
  const { section } = view.panes[name];
  const said = view.slow && name !== "loss" ? ".live-part-name" : '[data-view][aria-pressed="true"]';
  return (section.querySelector(said) ?? section.querySelector("h2"))?.textContent?.trim() ?? "";
}

/** @type {(layers: Layer[]) => { label: string, layers: Layer[] }[]} */
function legendOf(layers) {
  return layers
    .filter(({ kind, name, visible }) => visible !== false && name && KINDS_IN_LEGEND.includes(kind))
    .flatMap((layer) => {
      const name = layer.name ?? "";
      const label = CALLED[name] ?? name;
      if (layer.kind !== "points" || !layer.markers) return [{ label, layers: [layer] }];
      const { classes, markers } = layer;
      if (!classes) return [{ label, layers: [{ ...layer, index: [markers.length - 1] }] }];
      return classes.map((one, k) => ({ label: one, layers: [{ ...NO_POINTS, marker: markers[k] }] }));
    });
}

/**
 * Wait until the planes show this step, or are gone.
 * @type {(view: View, step: number) => Promise<void>}
 */
async function untilDrawn(view, step) {
  const isDrawn = () => view.picture?.step === step || view.refused || !view.root.isConnected;
  while (!isDrawn()) await new Promise((done) => { setTimeout(done, WAIT_MS); });
}

/**
 * The kept moments one after the other; null while there is only one, and while a step is shown in its parts.
 * @type {(view: View) => Film | null}
 */
function filmOfLive(view) {
  const moments = momentsOf(view);
  if (moments.length < 2 || view.slow) return null;
  return {
    count: moments.length,
    async figure(k) {
      goTo(view, k, moments);
      await untilDrawn(view, moments[k].step);
      return figureOfLive(view, false);
    },
    done: () => leavePast(view),
  };
}

/**
 * The line over the loss at the moment that is shown, which the caption names. It is none of the numbers.
 * @type {(step: number, picture: Picture, theme: LiveTheme) => Layer}
 */
const momentLayer = (step, { y }, theme) =>
  ({ kind: "line", x: [step, step], y: y.range, colour: theme.ink(0.9), width: 1.5, untold: true });

/**
 * `isStill`: with the waterfall of a pinned point, which only the newest flow has; pictures of a film are all
 * alike.
 * @type {(view: View, isStill?: boolean) => Figure | null}
 */
export function figureOfLive(view, isStill = true) {
  if (!view.root.isConnected || !view.scene || !view.picture) return null;
  const { step } = view.picture;
  const theme = paperOf(view);
  const drawn = PANES.map((name) => {
    const { box } = view.panes[name];
    const picture = painterOf(view, name)(view, theme);
    if (name === "loss" && isPast(view)) picture.layers = [...picture.layers, momentLayer(step, picture, theme)];
    return { title: titleOfPane(view, name), picture, box };
  });
  const readouts = [stepReadout(view), ...readoutsShown(view)].filter(({ value }) => value);
  const said = readouts.map(({ label, value, error, unit }) =>
    [label, value, error && `± ${error}`, unit].filter(Boolean).join(" "),
  );
  const tables = drawn.map(({ title, picture }) => ({ title, text: () => tableOf(picture) }));
  tables.push({ title: "numbers above the picture", text: () => tableOfReadouts(readouts) });
  const fall = isStill && fallTaken(view, theme);
  if (fall) tables.push(fall.table);
  return {
    name: `residual flow step ${step}`, title: `A residual flow at step ${step}`,
    columns: Number(view.root.dataset.columns), caption: [said.join(" · ")], tables, film: filmOfLive(view),
    panels: [
      ...drawn.map(({ title, picture, box }) => panelOf({
        title, note: "", alt: box.getAttribute("aria-label") ?? "", picture,
        width: box.clientWidth, height: box.clientHeight,
        legend: legendOf(picture.layers),
      })),
      ...(fall ? [fall.panel] : []),
    ],
  };
}

/**
 * Numbers as they are read on the page, with ASCII's minus sign and no sign between thousands.
 * @type {(readouts: Said[]) => string}
 */
function tableOfReadouts(readouts) {
  /** @type {(text?: string) => string} */
  const plain = (text) => (text ?? "").replaceAll("−", "-").replace(/(\d),(?=\d{3})/g, "$1");
  const rows = readouts.map(({ label, value, error, unit }) => [label, plain(value), plain(error), unit ?? ""]);
  return csvOf(["name", "value", "standard error", "unit"], rows);
}
