// The network as SVG: lines as wide as their weights are large, solid and orange above 0, dashed and blue below.

import { partOf, partOfKind } from "../part.js";
import { asked, called, changesIn, digits, nameOf, parameter, trained, unit } from "./names.js";
import { endsOf, gripOf, placed, WIDEST, WIDEST_GHOST } from "./places.js";

/** @import { Placed } from "./places.js" */
/** @import { Line, View } from "./types.js" */

const SVG = "http://www.w3.org/2000/svg";

/** @type {(root: Element, selector: string) => SVGElement} */
const groupOf = (root, selector) => partOfKind(root, selector, SVGElement);

/**
 * So many elements in a group, each as `dress` makes it.
 * @template Item
 * @param {Element} group
 * @param {string} tag
 * @param {Item[]} items
 * @param {(element: Element, item: Item) => void} dress
 */
function fill(group, tag, items, dress) {
  while (group.childElementCount > items.length) group.lastElementChild?.remove();
  while (group.childElementCount < items.length) group.append(document.createElementNS(SVG, tag));
  items.forEach((item, k) => dress(group.children[k], item));
}

/** @type {(element: Element, values: Record<string, string | number | boolean>) => void} */
const set = (element, values) => {
  for (const [name, value] of Object.entries(values)) element.setAttribute(name, String(value));
};
/** @type {(value: number | null) => "plus" | "minus"} */
export const sign = (value) => ((value ?? 0) < 0 ? "minus" : "plus");

/**
 * All lines that are drawn, by name. `used` follows the hand until Python has answered.
 * @type {(view: View) => Map<string, Line>}
 */
export function linesOf(view) {
  const { scene, changes } = view;
  /** @type {Map<string, Line>} */
  const lines = new Map();
  scene.layers.forEach(({ lines: sent, factor }, layer) => {
    for (const [row, column, own, used] of sent) {
      const name = nameOf({ kind: "weight", layer, row, column });
      lines.set(name, { layer, row, column, trained: own, used, factor, waits: false, wide: 0, ghost: 0 });
    }
  });
  view.lines = lines;
  const answered = changesIn(scene.answered);
  const largest = Math.max(1e-9, ...[...lines.values()].map(({ used }) => Math.abs(used ?? 0)));
  const unit = Math.min(WIDEST / largest, 4 * WIDEST);
  for (const [name, line] of lines) {
    line.waits = changes.get(name) !== answered.get(name);
    if (line.waits) line.used = (asked(view, name) ?? 0) * (line.factor ?? 1);
    line.wide = Math.max(0.5, Math.min(WIDEST, unit * Math.abs(line.used ?? 0)));
    line.ghost = Math.min(WIDEST_GHOST, unit * Math.abs(changes.get(name) ?? 0));
  }
  return lines;
}

/** @type {(view: View) => void} */
export function draw(view) {
  const { root, scene } = view;
  const picture = partOf(root, ".picture");
  if (!picture.clientWidth) return;
  const at = placed(scene, picture.clientWidth, picture.clientHeight);
  view.at = at;
  root.classList.toggle("dark", isDark(root));
  const lines = [...linesOf(view)];
  const drawn = { ...view, at };
  /** @type {(line: Line) => string} */
  const way = (line) => {
    const [x0, y0, x1, y1] = endsOf(drawn, line);
    return `M${x0} ${y0}L${x1} ${y1}`;
  };
  /** @type {(name: string) => string} */
  const marked = (name) => [name === view.near && "near", name === view.chosen && "chosen"].filter(Boolean).join(" ");
  lines.sort(([a], [b]) => Number(a === view.chosen) - Number(b === view.chosen));
  fill(groupOf(root, ".lines"), "path", lines, (path, [name, line]) => set(path, {
    d: way(line), "stroke-width": line.wide.toFixed(2), class: `${sign(line.used)} ${marked(name)}`, "data-name": name,
  }));
  const ghosts = lines.filter(([, line]) => line.ghost > line.wide + 0.5);
  fill(groupOf(root, ".ghosts"), "path", ghosts, (path, [name, line]) => set(path, {
    d: way(line), "stroke-width": line.ghost.toFixed(2), class: sign(view.changes.get(name) ?? 0),
  }));
  drawUnits(drawn, marked);
  drawHandle(drawn);
  say(view);
}

/** @type {(root: Element) => boolean} */
function isDark(root) {
  const [r, g, b] = (getComputedStyle(root).color.match(/[\d.]+/g) ?? []).map(Number);
  return r + g + b > 384; // of the text
}

/** @type {(view: View & { at: Placed }, marked: (name: string) => string) => void} */
function drawUnits(view, marked) {
  const { root, scene, at } = view;
  const units = at.places.flatMap((column, c) => column.map(([x, y], row) => ({ x, y, c, row })));
  const most = Math.max(1e-9, ...scene.layers.flatMap(({ bias }) => bias.map((b) => Math.abs(b ?? 0))));
  fill(groupOf(root, ".units"), "circle", units, (circle, { x, y, c, row }) => {
    const name = c ? nameOf({ kind: "bias", layer: c - 1, row }) : "";
    const bias = c ? asked(view, name) ?? 0 : 0;
    const isChanged = view.changes.has(name) || view.changes.has(name.replace("b", "r"));
    set(circle, {
      cx: x, cy: y, r: at.radii[c], "data-name": name,
      class: c ? `${sign(bias)} ${marked(name)} ${isChanged ? "changed" : ""}` : "",
      "fill-opacity": c ? Math.min(1, 0.15 + (0.85 * Math.abs(bias)) / most).toFixed(2) : 1,
    });
  });
  const ends = units.filter(({ c }) => c === 0 || c === scene.sizes.length - 1);
  fill(groupOf(root, ".names"), "text", ends, (text, { x, y, c, row }) => {
    set(text, { x: c ? x + 20 : x - 20, y: y + 4 });
    text.textContent = unit(scene, c, row);
  });
}

/** @type {(view: View & { at: Placed }) => void} */
function drawHandle(view) {
  const handle = groupOf(view.root, ".handle");
  handle.toggleAttribute("hidden", !view.chosen || view.scene.fixed);
  if (view.chosen) handle.setAttribute("transform", `translate(${gripOf(view, view.chosen).join()})`);
}

/**
 * The chosen parameter in words, for eyes and ears; what the pointer is over comes first.
 * @type {(view: View) => void}
 */
function say(view) {
  const name = view.near ?? view.chosen;
  const text = name ? told(view, name) : "";
  partOf(view.root, ".told").textContent = text;
  const svg = groupOf(view.root, ".picture svg");
  svg.setAttribute("aria-label", `Block ${view.scene.block} as a network`);
  const [low, high] = view.scene.limits[view.chosen ? parameter(view.chosen).kind : "weight"];
  set(svg, {
    "aria-valuemin": low, "aria-valuemax": high, "aria-valuenow": view.chosen ? asked(view, view.chosen) ?? 0 : 0,
    "aria-valuetext": view.chosen ? told(view, view.chosen) : "nothing is chosen", "aria-readonly": view.scene.fixed,
  });
}

/** @type {(view: View, name: string) => string} */
function told(view, name) {
  const { kind } = parameter(name);
  const own = trained(view, name);
  const value = view.changes.has(name) ? `you ask for ${digits(view.changes.get(name))}` : "";
  if (kind === "row") return `${called(view.scene, name)} ${digits(asked(view, name))}.`;
  const begins = `${called(view.scene, name)}: ${own === null ? "…" : `trained ${digits(own)}`}`;
  if (kind === "bias") return `${[begins, value].filter(Boolean).join(", ")}. No constraint acts on a bias.`;
  const line = view.lines.get(name);
  const left = line?.waits ? "…" : digits(line?.used);
  const used = line ? `${view.changes.has(name) ? "the constraint leaves" : "the layer uses"} ${left}` : "";
  return `${[begins, value, used].filter(Boolean).join(", ")}.`;
}
