// One line that says what can be tried next: the first of `HINTS` that nobody has done in this browser. A click
// dismisses them for good.

import { partOf } from "../part.js";
import { views } from "./element.js";
import { isPast } from "./time.js";

/** @import { View } from "./types.js" */

/** @typedef {"play" | "probe" | "time" | "belief"} Hint */

const HINTED = "resflow.hints"; // in localStorage: the names of what was done, or "off"

/** @type {Record<Hint, string>} */
export const HINTS = {
  play: "Press Play, and the flow learns the density of the points.",
  probe: "Click a point in the data space to see how its density is computed.",
  time: "Drag the line over the loss to go back to an earlier step.",
  belief: "Choose Truncated under Log det and press Play to see what biased training believes.",
};

/**
 * Whether what a hint speaks of is being done.
 * @type {Record<Hint, (view: View) => boolean>}
 */
const DONE = {
  play: ({ scene }) => scene.playing,
  probe: ({ probe }) => Boolean(probe.x),
  time: (view) => isPast(view),
  belief: ({ scene }) => scene.readouts.some(({ name, value }) => name === "believed" && Boolean(value)),
};

const hinted = readHinted();

/** @type {() => Set<string>} */
function readHinted() {
  try {
    return new Set((localStorage.getItem(HINTED) ?? "").split(" ").filter((name) => name === "off" || name in HINTS));
  } catch {
    return new Set(); // a browser that keeps nothing: they begin anew with each page
  }
}

/** @type {(name: string) => void} */
function noteHint(name) {
  hinted.add(name);
  try {
    localStorage.setItem(HINTED, [...hinted].join(" "));
  } catch { /* it holds until the page is left */ }
}

/**
 * Show the next hint, or none.
 * @type {(view: View) => void}
 */
export function showHint(view) {
  const line = partOf(view.root, ".live-hint");
  for (const [name, isDone] of Object.entries(DONE)) if (!hinted.has(name) && isDone(view)) noteHint(name);
  const isWanted = view.scene.hints && !hinted.has("off");
  const next = isWanted && Object.entries(HINTS).find(([name]) => !hinted.has(name));
  line.hidden = !next;
  if (next) partOf(line, "span").textContent = next[1];
}

export function dismissHints() {
  noteHint("off");
  for (const view of views) showHint(view);
}
