// The list: layer, unit and origin to choose from, and a slider and a field for the value. It does all that pulling
// does.

import { asked, called, digits, LETTERS, nameOf, origin, parameter, unit } from "./names.js";
import { bringBack, change, choose, refresh } from "./network.js";

const REACHED = { weight: 3, bias: 3, row: 3 }; // the ends of the slider, wider where a value is beyond

function options(select, names, chosen) {
  const key = JSON.stringify(names);
  if (select.dataset.names !== key) {
    select.replaceChildren(...names.map(([value, text]) => new Option(text, value)));
    select.dataset.names = key;
  }
  select.value = chosen;
}

/** Let the list show what is chosen, but what somebody is typing stays. */
export function showList(view) {
  const { root, scene } = view;
  const { kind, layer, row, column } = parameter(view.chosen);
  const part = (name) => root.querySelector(`[data-part=${name}]`);
  options(part("layer"), scene.layers.map((_, k) => [k, `layer ${k + 1}`]), layer);
  options(part("row"), Array.from({ length: scene.sizes[layer + 1] }, (_, k) => [k, unit(scene, layer + 1, k)]), row);
  const origins = Array.from({ length: scene.layers[layer].columns }, (_, k) => [k, origin(scene, layer, k)]);
  options(
    part("column"),
    [...origins, ["bias", "its bias"], ["row", "all its weights"]],
    kind === "weight" ? column : kind,
  );
  const value = asked(view, view.chosen);
  const [range, field] = [root.querySelector("[type=range]"), root.querySelector("[type=text]")];
  const most = Math.max(REACHED[kind], Math.ceil(Math.abs(value ?? 0)));
  if (range !== view.held) {
    Object.assign(range, { min: kind === "row" ? 0 : -most, max: most });
    range.value = value ?? 0;
  }
  if (field !== view.held) field.value = value === null ? "" : digits(value);
  root.querySelector(".value-name").textContent = { weight: "Weight", bias: "Bias", row: "Times" }[kind];
  range.setAttribute("aria-label", called(scene, view.chosen));
  range.setAttribute("aria-valuetext", digits(value));
  field.setAttribute("aria-label", `${called(scene, view.chosen)}, typed`);
  for (const one of [range, field]) one.disabled = scene.fixed || value === null;
  root.querySelector("[data-bring=one]").disabled = scene.fixed || !view.changes.has(view.chosen);
  root.querySelector("[data-bring=all]").disabled = scene.fixed || !view.changes.size;
  showChanged(view);
}

/** A button for each change, which chooses it. */
function showChanged(view) {
  const list = view.root.querySelector(".changed");
  const names = [...view.changes.keys()].reverse();
  while (list.childElementCount > names.length) list.lastChild.remove();
  while (list.childElementCount < names.length)
    list.append(Object.assign(document.createElement("button"), { type: "button" }));
  names.forEach((name, k) => {
    const text = `${called(view.scene, name)} = ${digits(view.changes.get(name))}`.replace(", times =", " ×");
    Object.assign(list.children[k], { textContent: text });
    list.children[k].dataset.name = name;
    list.children[k].setAttribute("aria-pressed", name === view.chosen);
  });
}

/** What somebody typed, as a number; NaN with a sentence in `wrong` where it is none, or beyond the limits. */
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

export function wrong(view, text) {
  view.root.querySelector(".wrong").textContent = text && `${text} The value stays as it was.`;
}

export function listenToList(view) {
  const { root } = view;
  const [range, field] = [root.querySelector("[type=range]"), root.querySelector("[type=text]")];
  root.querySelector(".list").addEventListener("change", (event) => {
    if (!event.target.dataset.part) return;
    const [layer, row, from] = ["layer", "row", "column"].map(
      (part) => root.querySelector(`[data-part=${part}]`).value,
    );
    const kind = from in LETTERS || ["bias", "row"].includes(from) ? from : "weight";
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
  root.querySelector(".back").addEventListener("click", (event) => {
    const which = event.target.closest("button")?.dataset.bring;
    if (which) bringBack(view, which === "all" ? [...view.changes.keys()] : [view.chosen]);
  });
  root.querySelector(".changed").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) choose(view, button.dataset.name);
  });
}
