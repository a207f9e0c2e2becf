// The list: layer, unit and origin to choose from, and a slider and a field for the value. It does all that pulling
// does.

import { partOf, partOfKind } from "../part.js";
import { asked, called, digits, nameOf, origin, parameter, unit } from "./names.js";
import { bringBack, change, choose, refresh } from "./network.js";

/** @import { Kind, View } from "./types.js" */

/** @type {Record<Kind, number>} */
const REACHED = { weight: 3, bias: 3, row: 3 }; // the ends of the slider, wider where a value is beyond

/** @type {(view: View) => [HTMLInputElement, HTMLInputElement]} */
const fieldsOf = ({ root }) => [
  partOfKind(root, "[type=range]", HTMLInputElement),
  partOfKind(root, "[type=text]", HTMLInputElement),
];

/**
 * The button that an event is about.
 * @type {(event: Event) => HTMLButtonElement | null}
 */
const buttonOf = ({ target }) => (target instanceof Element ? target.closest("button") : null);

/** @type {(select: HTMLSelectElement, names: [string | number, string][], chosen: string | number) => void} */
function options(select, names, chosen) {
  const key = JSON.stringify(names);
  if (select.dataset.names !== key) {
    select.replaceChildren(...names.map(([value, text]) => new Option(text, String(value))));
    select.dataset.names = key;
  }
  select.value = String(chosen);
}

/**
 * Let the list show what is chosen, but what somebody is typing stays.
 * @type {(view: View) => void}
 */
export function showList(view) {
  const { root, scene } = view;
  const { kind, layer, row, column } = parameter(view.chosen);
  /** @type {(name: string) => HTMLSelectElement} */
  const part = (name) => partOfKind(root, `[data-part=${name}]`, HTMLSelectElement);
  /** @type {(length: number, text: (k: number) => string) => [number, string][]} */
  const numbered = (length, text) => Array.from({ length }, (_, k) => [k, text(k)]);
  options(part("layer"), numbered(scene.layers.length, (k) => `layer ${k + 1}`), layer);
  options(part("row"), numbered(scene.sizes[layer + 1], (k) => unit(scene, layer + 1, k)), row);
  const origins = numbered(scene.layers[layer].columns, (k) => origin(scene, layer, k));
  options(
    part("column"),
    [...origins, ["bias", "its bias"], ["row", "all its weights"]],
    kind === "weight" ? column : kind,
  );
  const value = asked(view, view.chosen);
  const [range, field] = fieldsOf(view);
  const most = Math.max(REACHED[kind], Math.ceil(Math.abs(value ?? 0)));
  if (range !== view.held) {
    Object.assign(range, { min: String(kind === "row" ? 0 : -most), max: String(most) });
    range.value = String(value ?? 0);
  }
  if (field !== view.held) field.value = value === null ? "" : digits(value);
  partOf(root, ".value-name").textContent = { weight: "Weight", bias: "Bias", row: "Times" }[kind];
  range.setAttribute("aria-label", called(scene, view.chosen));
  range.setAttribute("aria-valuetext", digits(value));
  field.setAttribute("aria-label", `${called(scene, view.chosen)}, typed`);
  for (const one of [range, field]) one.disabled = scene.fixed || value === null;
  partOfKind(root, "[data-bring=one]", HTMLButtonElement).disabled = scene.fixed || !view.changes.has(view.chosen);
  partOfKind(root, "[data-bring=all]", HTMLButtonElement).disabled = scene.fixed || !view.changes.size;
  showChanged(view);
}

/**
 * A button for each change, which chooses it.
 * @type {(view: View) => void}
 */
function showChanged(view) {
  const list = partOf(view.root, "div.changed");
  const names = [...view.changes.keys()].reverse();
  while (list.childElementCount > names.length) list.lastElementChild?.remove();
  while (list.childElementCount < names.length)
    list.append(Object.assign(document.createElement("button"), { type: "button" }));
  names.forEach((name, k) => {
    const text = `${called(view.scene, name)} = ${digits(view.changes.get(name))}`.replace(", times =", " ×");
    const entry = list.children[k];
    entry.textContent = text;
    entry.setAttribute("data-name", name);
    entry.setAttribute("aria-pressed", String(name === view.chosen));
  });
}

/**
 * What somebody typed, as a number; NaN with a sentence in `wrong` where it is none, or beyond the limits.
 * @type {(view: View, text: string) => number}
 */
function typedValue(view, text) {
  const [low, high] = view.scene.limits[parameter(view.chosen).kind];
  const plain = text.trim().replace(/−/g, "-").replace(",", ".");
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i.test(plain) ? Number(plain) : NaN;
  const shown = text.trim().slice(0, 20) || "nothing";
  if (Number.isNaN(value))
    wrong(view, `“${shown}” is not a number: type one from ${digits(low)} to ${digits(high)}, such as 0.45.`);
  else if (value < low || value > high) wrong(view, `“${shown}”: use a value from ${digits(low)} to ${digits(high)}.`);
  else return value;
  return NaN;
}

/** @type {(view: View, text: string) => void} */
export function wrong(view, text) {
  partOf(view.root, ".wrong").textContent = text && `${text} The value stays as it was.`;
}

/** @type {(view: View) => void} */
export function listenToList(view) {
  const { root } = view;
  const [range, field] = fieldsOf(view);
  partOf(root, ".list").addEventListener("change", (event) => {
    if (!(event.target instanceof HTMLElement) || !event.target.dataset.part) return;
    const [layer, row, from] = ["layer", "row", "column"].map(
      (part) => partOfKind(root, `[data-part=${part}]`, HTMLSelectElement).value,
    );
    const kind = from === "bias" || from === "row" ? from : "weight";
    const { sizes, layers } = view.scene;
    choose(view, nameOf({
      kind, layer: Number(layer), row: Math.min(Number(row), sizes[Number(layer) + 1] - 1),
      column: Math.min(Number(from) || 0, layers[Number(layer)].columns - 1),
    }));
  });
  range.addEventListener("input", () => {
    view.held = range;
    change(view, view.chosen, Number(range.value));
  });
  range.addEventListener("change", () => {
    view.held = null;
    refresh(view);
  });
  field.addEventListener("focus", () => { view.held = field; });
  field.addEventListener("blur", () => {
    view.held = null;
    wrong(view, "");
    refresh(view);
  });
  const take = () => {
    const value = typedValue(view, field.value);
    if (Number.isNaN(value)) return;
    wrong(view, "");
    change(view, view.chosen, value);
  };
  field.addEventListener("change", take);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") take();
    event.stopPropagation(); // a digit is no key of the page
  });
  partOf(root, ".back").addEventListener("click", (event) => {
    const which = buttonOf(event)?.dataset.bring;
    if (which) bringBack(view, which === "all" ? [...view.changes.keys()] : [view.chosen]);
  });
  partOf(root, "div.changed").addEventListener("click", (event) => {
    const name = buttonOf(event)?.dataset.name;
    if (name) choose(view, name);
  });
}
