// What is looked at, in the address: the second plane, the layers that are not as a page begins, zooms and depth. An
// address that somebody has typed is followed as far as it makes sense.

import { viewInAddress, writeView } from "../canvas/address.js";
import { lastStage } from "./depth.js";
import { isPane, setLayer } from "./element.js";
import { POINT, writtenPoint } from "./probe.js";

/** @import { Window } from "../canvas/types.js" */
/** @import { View, Zoom } from "./types.js" */

const SECOND = "view.second", LAYERS = "view.layers", ZOOM = "view.zoom", DEPTH = "view.depth";
const MOST_DIGITS = 4;

/** @type {(view: View) => void} */
export function rememberView(view) {
  const { shows, depth, zoom, toggled, scene } = view;
  const last = scene ? lastStage(view) : null;
  writeView({
    [SECOND]: shows === "latent" ? null : shows,
    [LAYERS]: [...toggled].join(" ") || null,
    [ZOOM]: Object.entries(zoom).map(([space, ranges]) => (ranges ? `${space}:${written(ranges)}` : "")).filter(Boolean)
      .join(";") || null,
    [POINT]: writtenPoint(view),
    [DEPTH]: depth.wanted === null || depth.wanted === last ? null : String(depth.wanted),
  });
}

/** @type {(ranges: Window) => string} */
const written = (ranges) => ranges.flat().map((value) => Number(value.toPrecision(MOST_DIGITS))).join(",");

/**
 * The ranges of each space that the address names: two of two finite numbers each, in ascending order.
 * @type {() => Zoom}
 */
function zoomInAddress() {
  /** @type {Zoom} */
  const zoom = {};
  for (const part of (viewInAddress(ZOOM) ?? "").split(";")) {
    const [, space, text] = part.match(/^(data|latent|loss):([-+.,e\d]{7,200})$/) ?? [];
    const numbers = text?.split(",").map(Number);
    if (numbers?.length !== 4 || !numbers.every(Number.isFinite)) continue;
    const [x0, x1, y0, y1] = numbers;
    if (x0 < x1 && y0 < y1 && isPane(space)) zoom[space] = [[x0, x1], [y0, y1]];
  }
  return zoom;
}

/**
 * Once, when the picture is mounted; the depth is taken up with the first picture.
 * @type {(view: View) => void}
 */
export function recallView(view) {
  const second = viewInAddress(SECOND);
  if (second === "truth" || second === "difference" || second === "believed") view.shows = second;
  view.toggled = new Set();
  for (const name of (viewInAddress(LAYERS) ?? "").split(" ")) {
    const [pane, layer] = name.split(".");
    if (!isPane(pane)) continue;
    /** @type {HTMLElement | null} */
    const button = view.panes[pane].section.querySelector(`[data-layer="${CSS.escape(layer ?? "")}"]`);
    if (button) setLayer(view, pane, button);
  }
  view.recalled = zoomInAddress();
}

/**
 * The depth that the address names, in a flow with so many stages; null where it names none.
 * @type {(view: View) => number | null}
 */
export function depthInAddress(view) {
  const text = viewInAddress(DEPTH);
  return /^\d{1,4}$/.test(text ?? "") && Number(text) <= lastStage(view) ? Number(text) : null;
}
