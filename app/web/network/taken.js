// The network as a figure (`take/sheet.js`), in the colours of paper, and its weights as a table.

import { sign } from "./drawing.js";
import { asked, nameOf, unit } from "./names.js";
import { endsOf } from "./places.js";

/** @import { Placed } from "./places.js" */
/** @import { Scene, View } from "./types.js" */
/** @import { Figure, LegendEntry, Pen, Theme } from "../canvas/types.js" */

/** @type {Record<"plus" | "minus", { colour: string, dash: number[] }>} */
const ON_PAPER = { plus: { colour: "#d55e00", dash: [] }, minus: { colour: "#0072b2", dash: [5, 3] } };

/** @type {(view: View & { at: Placed }, pen: Pen, theme: Theme) => void} */
function drawNetwork(view, pen, theme) {
  const { at, scene, changes } = view;
  /** @type {(colour: string, width: number, dash?: number[], opacity?: number) => void} */
  const stroke = (colour, width, dash = [], opacity = 1) => {
    Object.assign(pen, { strokeStyle: colour, lineWidth: width, globalAlpha: opacity });
    pen.setLineDash(dash);
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  };
  for (const line of view.lines.values()) {
    const [x0, y0, x1, y1] = endsOf(view, line);
    pen.beginPath();
    pen.moveTo(x0, y0);
    pen.lineTo(x1, y1);
    const { colour, dash } = ON_PAPER[sign(line.used)];
    stroke(colour, line.wide, dash, 0.7);
  }
  at.places.forEach((column, c) => column.forEach(([x, y], row) => {
    const bias = c ? asked(view, nameOf({ kind: "bias", layer: c - 1, row })) ?? 0 : 0;
    pen.beginPath();
    pen.arc(x, y, at.radii[c], 0, 7);
    pen.fillStyle = c && bias ? ON_PAPER[sign(bias)].colour : theme.paper;
    pen.fill();
    const isChanged = c && changes.has(nameOf({ kind: "bias", layer: c - 1, row }));
    stroke(theme.ink(0.8), isChanged ? 2.6 : 1.4, c && bias < 0 ? [2, 1.5] : []);
    if (c && c < scene.sizes.length - 1) return;
    Object.assign(pen, {
      font: `13px ${theme.font}`,
      fillStyle: theme.ink(1),
      textAlign: "center",
      textBaseline: "middle",
    });
    pen.fillText(unit(scene, c, row), c ? x + 20 : x - 20, y);
  }));
}

/** @type {(look: { colour: string, dash: number[] }) => LegendEntry["draw"]} */
function swatchOfSign({ colour, dash }) {
  return (pen) => {
    Object.assign(pen, { strokeStyle: colour, lineWidth: 3 });
    pen.setLineDash(dash);
    pen.beginPath();
    pen.moveTo(2, 6);
    pen.lineTo(24, 6);
    pen.stroke();
    pen.setLineDash([]);
  };
}

/**
 * A row for each weight that is drawn and each bias: as trained, and as the layer uses it.
 * @type {(view: View) => string}
 */
function tableOfNetwork(view) {
  const { scene, lines, changes } = view;
  /** @type {(string | number)[][]} */
  const rows = [["layer", "kind", "into unit", "from unit", "trained", "used", "changed by hand to"]];
  /** @type {(name: string) => string | number} */
  const changed = (name) => changes.get(name) ?? "";
  for (const [name, { layer, row, column, trained: own, used }] of lines) {
    rows.push([layer + 1, "weight", row + 1, column + 1, own ?? "", used ?? "", changed(name)]);
  }
  scene.layers.forEach(({ bias }, layer) => bias.forEach((value, row) => {
    const name = nameOf({ kind: "bias", layer, row });
    rows.push([layer + 1, "bias", row + 1, "", value ?? "", asked(view, name) ?? "", changed(name)]);
  }));
  return `${rows.map((row) => row.join()).join("\r\n")}\r\n`;
}

/**
 * What is drawn, for who does not see it.
 * @type {(scene: Scene) => string}
 */
const sizesSaid = ({ sizes }) => `Layers of ${sizes.join(", ")} units from left to right, and a line for each weight.`;

/** @type {(view: View) => Figure | null} */
export function figureOfNetwork(view) {
  const { scene, root, at } = view;
  if (!at) return null;
  const name = `Block ${scene.block} as a network`;
  const legend = [
    { label: "positive weight", draw: swatchOfSign(ON_PAPER.plus) },
    { label: "negative weight", draw: swatchOfSign(ON_PAPER.minus) },
  ];
  return {
    name, title: name, columns: 1, tables: [{ title: "", text: () => tableOfNetwork(view) }],
    panels: [
      {
        title: name,
        note: "The wider a line, the larger the weight as the layer uses it.",
        alt: [sizesSaid(scene), root.querySelector(".left-out")?.textContent].filter(Boolean).join(" "),
        width: at.width,
        height: at.height,
        legend,
        draw: (pen, theme) => drawNetwork({ ...view, at }, pen, theme),
      },
    ],
  };
}
