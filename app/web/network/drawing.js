// The network as SVG: lines as wide as their weights are large, solid and orange above 0, dashed and blue below.

import { asked, called, changesIn, digits, nameOf, parameter, trained, unit } from "./names.js";
import { endsOf, gripOf, placed, WIDEST, WIDEST_GHOST } from "./places.js";

const SVG = "http://www.w3.org/2000/svg";

/** So many elements in a group, each as `dressed` makes it. */
function fill(group, tag, items, dress) {
  while (group.childElementCount > items.length) group.lastChild.remove();
  while (group.childElementCount < items.length) group.append(document.createElementNS(SVG, tag));
  items.forEach((item, k) => dress(group.children[k], item));
}

const set = (element, values) => Object.entries(values).forEach(([name, value]) => element.setAttribute(name, value));
export const sign = (value) => (value < 0 ? "minus" : "plus");

/** All lines that are drawn, by name. `used` follows the hand until Python has answered. */
export function linesOf(view) {
  const { scene, changes } = view;
  const lines = new Map();
  scene.layers.forEach(({ lines: sent, factor }, layer) => {
    for (const [row, column, own, used] of sent) {
      const name = nameOf({ kind: "weight", layer, row, column });
      lines.set(name, { layer, row, column, trained: own, used, factor });
    }
  });
  view.lines = lines;
  const answered = changesIn(scene.answered);
  const largest = Math.max(1e-9, ...[...lines.values()].map(({ used }) => Math.abs(used ?? 0)));
  const unit = Math.min(WIDEST / largest, 4 * WIDEST);
  for (const [name, line] of lines) {
    line.waits = changes.get(name) !== answered.get(name);
    if (line.waits) line.used = asked(view, name) * (line.factor ?? 1);
    line.wide = Math.max(0.5, Math.min(WIDEST, unit * Math.abs(line.used ?? 0)));
    line.ghost = changes.has(name) ? Math.min(WIDEST_GHOST, unit * Math.abs(changes.get(name))) : 0;
  }
  return lines;
}

export function draw(view) {
  const { root, scene } = view;
  const picture = root.querySelector(".picture");
  if (!picture.clientWidth) return;
  view.at = placed(scene, picture.clientWidth, picture.clientHeight);
  root.classList.toggle("dark", isDark(root));
  const lines = [...linesOf(view)];
  const way = (line) => (([x0, y0, x1, y1]) => `M${x0} ${y0}L${x1} ${y1}`)(endsOf(view, line));
  const marked = (name) => [name === view.near && "near", name === view.chosen && "chosen"].filter(Boolean).join(" ");
  lines.sort(([a], [b]) => (a === view.chosen) - (b === view.chosen));
  fill(root.querySelector(".lines"), "path", lines, (path, [name, line]) => set(path, {
    d: way(line), "stroke-width": line.wide.toFixed(2), class: `${sign(line.used)} ${marked(name)}`, "data-name": name,
  }));
  const ghosts = lines.filter(([, line]) => line.ghost > line.wide + 0.5);
  fill(root.querySelector(".ghosts"), "path", ghosts, (path, [name, line]) => set(path, {
    d: way(line), "stroke-width": line.ghost.toFixed(2), class: sign(view.changes.get(name)),
  }));
  drawUnits(view, marked);
  drawHandle(view);
  say(view);
}

function isDark(root) {
  const [r, g, b] = getComputedStyle(root).color.match(/[\d.]+/g).map(Number);
  return r + g + b > 384; // of the text
}

function drawUnits(view, marked) {
  const { root, scene, at } = view;
  const units = at.places.flatMap((column, c) => column.map(([x, y], row) => ({ x, y, c, row })));
  const most = Math.max(1e-9, ...scene.layers.flatMap(({ bias }) => bias.map((b) => Math.abs(b ?? 0))));
  fill(root.querySelector(".units"), "circle", units, (circle, { x, y, c, row }) => {
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
  fill(root.querySelector(".names"), "text", ends, (text, { x, y, c, row }) => {
    set(text, { x: c ? x + 20 : x - 20, y: y + 4 });
    text.textContent = unit(scene, c, row);
  });
}

function drawHandle(view) {
  const handle = view.root.querySelector(".handle");
  handle.toggleAttribute("hidden", !view.chosen || view.scene.fixed);
  if (view.chosen) handle.setAttribute("transform", `translate(${gripOf(view, view.chosen)})`);
}

/** The chosen parameter in words, for eyes and ears; what the pointer is over comes first. */
function say(view) {
  const name = view.near ?? view.chosen;
  const text = name ? told(view, name) : "";
  view.root.querySelector(".told").textContent = text;
  const svg = view.root.querySelector(".picture svg");
  svg.setAttribute("aria-label", `Block ${view.scene.block} as a network`);
  const [low, high] = view.scene.limits[view.chosen ? parameter(view.chosen).kind : "weight"];
  set(svg, {
    "aria-valuemin": low, "aria-valuemax": high, "aria-valuenow": view.chosen ? asked(view, view.chosen) ?? 0 : 0,
    "aria-valuetext": view.chosen ? told(view, view.chosen) : "nothing is chosen", "aria-readonly": view.scene.fixed,
  });
}

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
