// A block of a flow as a small network whose weights can be pulled. What is changed is told to Python, one text at a
// time: the next is sent when the last was answered, so that no answer is overtaken.

import { partOf } from "../part.js";
import { menuIn } from "../take/menu.js";
import { draw, linesOf } from "./drawing.js";
import { listenToHands } from "./hands.js";
import { listenToList, showList, wrong } from "./list.js";
import { changesIn, parameter, textOf } from "./names.js";
import { figureOfNetwork } from "./taken.js";

/** @import { Call, Take } from "../types.js" */
/** @import { Scene, View } from "./types.js" */

const WAIT = 1500; // milliseconds after which an answer is not waited for any more
/** @type {WeakMap<Element, View>} */
const views = new WeakMap();

/**
 * Set a parameter, within its limits and to two decimals: the browser shows it at once, and Python answers.
 * @type {(view: View, name: string, value: number) => void}
 */
export function change(view, name, value) {
  if (view.scene.fixed) return;
  const [low, high] = view.scene.limits[parameter(name).kind];
  const next = Number(Math.max(low, Math.min(high, value)).toFixed(Math.abs(value) < 0.1 ? 4 : 2));
  if (!view.changes.has(name) && view.changes.size >= view.scene.most) {
    wrong(view, `You have changed ${view.scene.most} weights, and no more are allowed: bring one back first.`);
    return;
  }
  view.changes.delete(name); // the newest stands at the end
  view.changes.set(name, next);
  pulled(view);
}

/** @type {(view: View, names: string[]) => void} */
export function bringBack(view, names) {
  names.forEach((name) => view.changes.delete(name));
  wrong(view, "");
  pulled(view);
}

/** @type {(view: View, name: string) => void} */
export function choose(view, name) {
  if (name === view.chosen) return;
  view.chosen = name;
  wrong(view, "");
  refresh(view);
  if (!view.lines.has(name) && parameter(name).kind === "weight") send(view); // Python sends its value
}

/**
 * Something was changed here that Python has not been told.
 * @type {(view: View) => void}
 */
function pulled(view) {
  view.pulled = Math.max(Date.now(), view.pulled + 1, view.scene.heard + 1);
  refresh(view);
  send(view);
}

/** @type {(view: View) => void} */
function send(view) {
  const isAnswered = view.scene.heard >= view.sent;
  if (!isAnswered && performance.now() - view.sentAt < WAIT) {
    clearTimeout(view.timer);
    view.timer = setTimeout(() => send(view), WAIT);
    return;
  }
  clearTimeout(view.timer);
  view.sent = Math.max(view.pulled, view.sent);
  view.sentAt = performance.now();
  view.setState("told", [view.sent, textOf(view.changes), view.chosen]);
}

/**
 * Draw at most once a frame of the screen.
 * @type {(view: View) => void}
 */
export function refresh(view) {
  view.due ??= requestAnimationFrame(() => {
    view.due = null;
    draw(view);
    showList(view);
    view.root.dataset.drawn = String(Number(view.root.dataset.drawn ?? 0) + 1);
  });
}

/**
 * What Python says holds, unless something was changed here since.
 * @type {(view: View, scene: Scene) => void}
 */
function take(view, scene) {
  view.scene = scene;
  if (scene.heard >= view.pulled) {
    view.changes = changesIn(scene.changes);
  } else if (scene.heard >= view.sent) {
    send(view);
  }
  linesOf(view);
  const found = view.chosen ? parameter(view.chosen) : null;
  const isThere = found && found.layer < scene.layers.length && found.row < scene.sizes[found.layer + 1]
    && (found.kind !== "weight" || found.column < scene.layers[found.layer].columns);
  if (!isThere) view.chosen = [...view.changes.keys()].pop() ?? largest(view);
  view.root.classList.toggle("fixed", scene.fixed);
  const left = scene.layers
    .map(({ lines, total }, k) =>
      lines.length < total
        ? `Layer ${k + 1}: only the ${lines.length} largest of ${total} weights are drawn. The list has all.`
        : "",
    )
    .filter(Boolean);
  partOf(view.root, ".left-out").textContent = left.join(" ");
  Object.assign(view.root.dataset, { heard: String(scene.heard), changes: scene.changes });
}

/**
 * The largest weight of the first layer.
 * @type {(view: View) => string}
 */
function largest({ lines }) {
  const first = [...lines].filter(([, { layer }]) => layer === 0);
  return first.reduce((best, one) => (Math.abs(one[1].used ?? 0) > Math.abs(best[1].used ?? 0) ? one : best))[0];
}

/** @type {(call: Call<Scene & { take: Take }>) => void} */
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = partOf(parentElement, ".network");
  const known = views.get(root);
  /** @type {View} */
  const view = known ?? {
    scene: data,
    at: null,
    setState: setStateValue,
    root, changes: new Map(), lines: new Map(), chosen: "", near: null, held: null, due: null, timer: undefined,
    sent: 0, sentAt: -Infinity, pulled: 0,
  };
  view.setState = setStateValue;
  take(view, data);
  if (!known) {
    views.set(root, view);
    listenToHands(view);
    listenToList(view);
    new ResizeObserver(() => refresh(view)).observe(root);
  }
  refresh(view);
  const host = partOf(root, "[data-take]");
  /** @type {(wanted: [number, string]) => void} */
  const ask = (wanted) => setTriggerValue("asks", wanted);
  menuIn({ host, data: data.take, ask, figure: () => figureOfNetwork(view) });
}
