// Parameters of the network by their names, as Python writes them: w1.5.2 is the weight of layer 1 into unit 5 from
// number 2 of what comes in, b1.5 that unit's bias, r1.5 what its row is multiplied by. Everything counts from 1.

import { shown } from "../canvas/numbers.js";

/** @import { Kind, Parameter, Scene, View } from "./types.js" */

/** @type {Record<string, Kind>} */
const LETTERS = { w: "weight", b: "bias", r: "row" };
const BELOW = "₀₁₂₃₄₅₆₇₈₉";

/** @type {(number: number) => string} */
const below = (number) => String(number).replace(/\d/g, (digit) => BELOW[Number(digit)]);

/**
 * {kind, layer, row, column} of a name, from 0.
 * @type {(name: string) => Parameter}
 */
export function parameter(name) {
  const [layer, row, column] = name.slice(1).split(".").map((part) => Number(part) - 1);
  return { kind: LETTERS[name[0]], layer, row, column };
}

/** @type {(of: Omit<Parameter, "column"> & { column?: number }) => string} */
export const nameOf = ({ kind, layer, row, column = 0 }) =>
  `${kind[0]}${layer + 1}.${row + 1}${kind === "weight" ? `.${column + 1}` : ""}`;

/**
 * The name of a unit: of column 0 the inputs, of the last column the outputs.
 * @type {(scene: Pick<Scene, "sizes">, column: number, index: number) => string}
 */
export function unit({ sizes }, column, index) {
  if (!column) return `x${below(index + 1)}`;
  return column === sizes.length - 1 ? `g${below(index + 1)}` : `unit ${index + 1}`;
}

/**
 * Where the numbers come from that a layer's column multiplies.
 * @type {(scene: Scene, layer: number, column: number) => string}
 */
export function origin(scene, layer, column) {
  const size = scene.sizes[layer];
  const copy = Math.floor(column / size);
  return `${unit(scene, layer, column % size)}${copy ? `, copy ${copy + 1}` : ""}`;
}

/**
 * A parameter in words.
 * @type {(scene: Scene, name: string) => string}
 */
export function called(scene, name) {
  const { kind, layer, row, column } = parameter(name);
  const into = unit(scene, layer + 1, row);
  if (kind === "weight") return `Weight ${origin(scene, layer, column)} → ${into}, layer ${layer + 1}`;
  return kind === "bias"
    ? `Bias of ${into}, layer ${layer + 1}`
    : `All weights into ${into}, layer ${layer + 1}, times`;
}

/**
 * A number with three digits that matter, and a minus sign as in print.
 * @type {(value: number | null | undefined) => string}
 */
export function digits(value) {
  if (value === null || value === undefined) return "not a number";
  return shown(value);
}

/**
 * The changes that a text stands for: name -> value, the newest at the end.
 * @type {(text: string) => Map<string, number>}
 */
export const changesIn = (text) => {
  const parts = text.split(" ").filter(Boolean).map((part) => part.split("="));
  return new Map(parts.map(([name, value]) => [name, Number(value)]));
};

/** @type {(changes: Map<string, number>) => string} */
export const textOf = (changes) => [...changes].map(([name, value]) => `${name}=${value}`).join(" ");

/**
 * What a parameter was trained to; null where that was not sent, as of the small weights of a large layer.
 * @type {(view: View, name: string) => number | null}
 */
export function trained(view, name) {
  const { kind, layer, row } = parameter(name);
  if (kind === "row") return 1;
  return kind === "bias" ? view.scene.layers[layer].bias[row] : view.lines.get(name)?.trained ?? null;
}

/**
 * What it is asked to be now.
 * @type {(view: View, name: string) => number | null}
 */
export function asked(view, name) {
  const changed = view.changes.get(name);
  if (changed !== undefined) return changed;
  const { kind, layer, row } = parameter(name);
  const own = trained(view, name);
  if (kind !== "weight" || own === null) return own;
  return own * (view.changes.get(nameOf({ kind: "row", layer, row })) ?? 1);
}
