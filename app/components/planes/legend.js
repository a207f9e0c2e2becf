// The legend of a pane: what has a name, as a button that hides it and shows it again.

const SWATCH = [26, 12]; // pixels

/** Bring a list up to date with the marks that have names; those in `hidden` are crossed out. */
function showLegend(list, marks, hidden, theme, toggled) {
  const named = marks.filter(({ label }) => label);
  const lookOfLayer = ({ colour, dash, marker }) => [colour, dash, marker];
  const told = JSON.stringify(named.map(({ label, layers }) => [label, layers.map(lookOfLayer)]));
  if (list.dataset.told !== told) { // rebuilt only then: the one that has the focus keeps it
    list.dataset.told = told;
    list.replaceChildren(...named.map((mark) => entryOf(mark, theme, toggled)));
  }
  for (const button of list.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", !hidden.has(button.textContent));
  }
}

function entryOf({ label, layers }, theme, toggled) {
  const [item, button] = [part("li", ""), part("button", "")];
  Object.assign(button, { type: "button", ariaLabel: `${label}: hide or show` });
  button.append(swatchOf(layers, theme), label);
  button.addEventListener("click", () => toggled(label));
  item.append(button);
  return item;
}

/** A piece of line or a marker, drawn as in the pane. */
function swatchOf(layers, theme) {
  const [width, height] = SWATCH;
  const dense = window.devicePixelRatio || 1;
  const canvas = part("canvas", "");
  Object.assign(canvas, { width: width * dense, height: height * dense, ariaHidden: "true" });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const context = canvas.getContext("2d");
  context.scale(dense, dense);
  const at = { x: (v) => v, y: (v) => v, left: 0, top: 0, width, height };
  for (const layer of layers) {
    if (layer.kind === "band") {
      context.fillStyle = layer.colour;
      context.fillRect(2, 0, width - 4, height);
      continue;
    }
    const isPoint = layer.kind === "points";
    const place = isPoint ? { x: [width / 2], y: [height / 2] } : { x: [2, width - 2], y: [height / 2, height / 2] };
    if (isPoint || (layer === layers[0] && layer.x?.length !== 1)) {
      LAYERS[isPoint ? "points" : "line"](context, { ...layer, ...place, halo: null }, at, theme, { dense });
    }
  }
  return canvas;
}
