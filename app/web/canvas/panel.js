// A picture as a panel of a sheet (`take/sheet.js`), and its numbers as a table.

import { contour } from "./field.js";
import { BAR_BELOW, drawOnce, MARGIN } from "./plane.js";
import { drawSwatch } from "./swatch.js";

/** @import { Layer, Margin, Numbers, Panel, Picture } from "./types.js" */

/**
 * A cell of a table.
 * @typedef {string | number} Cell
 */

/**
 * A name, x and y, and of a field the value.
 * @typedef {[string, number, number, number?]} Row
 */

/** @type {Margin} */
const MARGIN_ON_PAPER = { ...MARGIN, left: 58 };

/**
 * {title, note, alt, picture, width, height, legend} with what draws it: the numbers and titles of its axes stand
 * beside the plot, whose size on the page `width` and `height` are.
 * @type {(of: { title: string, note: string, alt: string, picture: Picture, width: number, height: number, legend: {
 *   label: string, layers: Layer[] }[] }) => Panel}
 */
export function panelOf({ title, note, alt, picture, width, height, legend }) {
  const margin = picture.margin ?? MARGIN_ON_PAPER;
  const below = margin.bottom ?? MARGIN.bottom;
  /** @type {Picture & { margin: Margin }} */
  const onPaper = {
    ...picture,
    over: "",
    margin: { ...margin, bottom: picture.bar && !picture.margin ? below + BAR_BELOW : below },
  };
  const added = picture.margin ? [0, 0] : [margin.left + margin.right, onPaper.margin.top + onPaper.margin.bottom];
  const size = { width: width + added[0], height: height + added[1] };
  return {
    title, note, alt, ...size, picture,
    legend: legend.map(({ label, layers }) => ({
      label, draw: (pen, theme, dense) => drawSwatch(pen, layers, theme, dense),
    })),
    draw: (pen, theme, dense) => drawOnce(pen, onPaper, size.width, size.height, theme, dense),
  };
}

/**
 * So many digits, as points have that came as float32.
 * @type {(value: number) => string}
 */
const written7 = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(7))) : "");

/**
 * Cells as a line of CSV (RFC 4180). A spreadsheet takes a text that begins with one of these signs for a formula.
 * @type {(cells: Cell[]) => string}
 */
function csvLine(cells) {
  return cells.map((cell) => {
    const text =
      typeof cell === "number"
        ? written7(cell)
        : /^[=+\-@\t\r]/.test(cell) && Number.isNaN(Number(cell))
          ? `'${cell}`
          : cell;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }).join(",");
}

/**
 * A table as the text of a CSV file.
 * @type {(head: Cell[], rows: Cell[][]) => string}
 */
export const csvOf = (head, rows) => `${[head, ...rows].map(csvLine).join("\r\n")}\r\n`;

/**
 * What a layer shows in numbers, under a name: [name, x, y] each, and of a field the value.
 * @type {{ [Kind in Layer["kind"]]?: (name: string, layer: Extract<Layer, { kind: Kind }>) => Row[] }}
 */
const ROWS = {
  field(name, { nodes, field, window: [[x0, x1], [y0, y1]], toValue = (v) => v }) {
    const { values, rows, columns } = nodes ?? field;
    return Array.from(values, (value, i) => [
      name, x0 + ((i % columns) * (x1 - x0)) / (columns - 1),
      y0 + (Math.floor(i / columns) * (y1 - y0)) / (rows - 1), toValue(value),
    ]);
  },
  contours(name, { field, window: [[x0, x1], [y0, y1]], levels }) {
    /** @type {(c: number) => number} */
    const x = (c) => x0 + ((x1 - x0) * c) / (field.columns - 1);
    /** @type {(r: number) => number} */
    const y = (r) => y0 + ((y1 - y0) * r) / (field.rows - 1);
    return levels.flatMap(({ value, text }) => contour(field, value).flatMap((line) =>
      Array.from(line.x, (c, i) => [text ? `${name} ${text}` : name, x(c), y(line.y[i])])));
  },
  points: (name, { x, y, index, classes }) =>
    Array.from(x, (value, i) => [index && classes ? `${name}: ${classes[index[i]]}` : name, value, y[i]]),
  line: (name, { x, y }) => Array.from(x, (value, i) => [name, value, y[i]]),
  band(name, { x, low, high }) {
    /** @type {(which: string, values: Numbers) => Row[]} */
    const side = (which, values) => Array.from(x, (value, i) => [`${name}, ${which} end`, value, values[i]]);
    return [...side("lower", low), ...side("upper", high)];
  },
  ring: (_, { x, y }) => [["chosen point", x, y]],
  level: (_, { y, text }) => [[text, NaN, y]],
  values: (_, { of }) => of.map(({ x, y, text }) => [text, x, y]),
};

/** @type {(layer: Layer) => Row[]} */
function rowsOf(layer) {
  const rows = /** @type {((name: string, layer: Layer) => Row[]) | undefined} */ (ROWS[layer.kind]);
  return rows?.(layer.series || layer.name || layer.kind, layer) ?? [];
}

/**
 * The numbers of all that is seen in a picture as CSV: the columns are its axes.
 * @type {(picture: Picture, logs?: boolean[]) => string}
 */
export function tableOf({ x, y, layers, bar }, logs = [false, false]) {
  const seen = layers.filter(({ kind, visible, untold }) => visible !== false && ROWS[kind] && !untold);
  const field = seen.find((layer) => layer.kind === "field");
  const rows = seen.flatMap((layer) => rowsOf(layer))
    .filter(([, u, v]) => !(Number.isNaN(u) && Number.isNaN(v)))
    .map(([series, u, v, value]) => {
      const numbers = [u, v].map((one, k) => (logs[k] ? 10 ** one : one));
      return field ? [series, ...numbers, value ?? ""] : [series, ...numbers];
    });
  const head = ["series", x.title, y.title];
  return csvOf(field ? [...head, field.told ?? (bar ? bar.title : "value")] : head, rows);
}
