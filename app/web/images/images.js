// Grids of images, each pixel a whole number of the screen's, with a gap between two images.

import { contextOf } from "../canvas/page.js";
import { unpacked } from "../canvas/unpack.js";
import { partOf } from "../part.js";
import { menuIn } from "../take/menu.js";

/** @import { Call, Take } from "../types.js" */

/**
 * A grid of images, as Python sends it.
 * @typedef {{ title: string, images: Packed, white: number, note: string, alt: string }} Grid
 */

/**
 * A grid on the page: `text` is what was sent, `size` that of its canvas.
 * @typedef {{ figure: HTMLElement, title: HTMLElement, note: HTMLElement, canvas: HTMLCanvasElement, text: string,
 *   size: [number, number] }} Shown
 */

/** @typedef {HTMLElement & { grids: Shown[] }} Root */
/** @import { Figure, Packed, Panel } from "../canvas/types.js" */

const GAP = 1; // in pixels of the images
const LARGEST = 4.6; // css pixels of one of theirs, however wide the page
const PAPER = 70; // grey between the images, on light pages and dark ones

/** @type {(root: Element) => Shown} */
function addGrid(root) {
  const [figure, title] = [document.createElement("figure"), document.createElement("figcaption")];
  const [note, canvas] = [document.createElement("p"), document.createElement("canvas")];
  /** @type {Shown} */
  const grid = { figure, title, note, canvas, text: "", size: [0, 0] };
  grid.canvas.setAttribute("role", "img");
  figure.append(grid.title, grid.note, grid.canvas);
  root.append(figure);
  return grid;
}

/**
 * How wide a pixel of the images is in css pixels: a whole number of the screen's, for so many in `room`.
 * @type {(columns: number, room: number) => number}
 */
function scaleOf(columns, room) {
  const ratio = window.devicePixelRatio || 1;
  return Math.max(1, Math.floor(Math.min(LARGEST, room / columns) * ratio)) / ratio;
}

/** @type {(grid: Shown, of: Grid) => void} */
function draw(grid, { images, white }) {
  const [rows, columns, height, width] = images.shape;
  /** @type {[number, number]} */
  const size = [columns * (width + GAP) + GAP, rows * (height + GAP) + GAP];
  const { canvas } = grid;
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  grid.size = size;
  const context = contextOf(canvas);
  const picture = context.createImageData(...size);
  picture.data.fill(255);
  for (let i = 0; i < picture.data.length; i += 4) picture.data.fill(PAPER, i, i + 3);
  unpacked(images).forEach((level, i) => {
    const [x, y] = [i % width, Math.floor(i / width) % height];
    const tile = Math.floor(i / (width * height));
    const left = GAP + (tile % columns) * (width + GAP) + x;
    const top = GAP + Math.floor(tile / columns) * (height + GAP) + y;
    const at = 4 * (top * size[0] + left);
    picture.data.fill(Math.round((255 * level) / white), at, at + 3);
  });
  context.putImageData(picture, 0, 0);
}

/** @type {(root: Root) => void} */
function fit(root) {
  for (const { canvas, size } of root.grids) {
    const scale = scaleOf(size[0], root.clientWidth);
    canvas.style.width = `${size[0] * scale}px`;
    canvas.style.height = `${size[1] * scale}px`;
  }
}

/** @type {(root: Root, grids: Grid[]) => void} */
function receive(root, grids) {
  while (root.grids.length > grids.length) root.grids.pop()?.figure.remove();
  while (root.grids.length < grids.length) root.grids.push(addGrid(root));
  grids.forEach((spec, k) => {
    const grid = root.grids[k];
    const text = JSON.stringify(spec);
    if (text === grid.text) return;
    grid.text = text;
    grid.title.textContent = spec.title;
    grid.note.textContent = spec.note;
    grid.canvas.setAttribute("aria-label", spec.alt);
    draw(grid, spec);
    root.dataset.drawn = String(Number(root.dataset.drawn ?? 0) + 1);
  });
  fit(root);
}

/**
 * A grid as a panel of a sheet (`take/sheet.js`): pixels as large as on the page.
 * @type {(grid: Shown) => Panel}
 */
function panelOfGrid({ title, note, canvas }) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  return {
    title: title.textContent, note: note.textContent, alt: canvas.getAttribute("aria-label") ?? "", width, height,
    draw(pen) {
      pen.imageSmoothingEnabled = false;
      pen.drawImage(canvas, 0, 0, width, height);
      pen.imageSmoothingEnabled = true;
    },
  };
}

/**
 * The grey levels of all images, a row for each pixel.
 * @type {(grid: Grid) => string}
 */
function tableOfGrid({ images }) {
  const [, columns, height, width] = images.shape;
  const rows = Array.from(unpacked(images), (level, i) => {
    const image = Math.floor(i / (width * height));
    const place = [Math.floor(image / columns), image % columns, Math.floor(i / width) % height, i % width];
    return [...place.map((one) => one + 1), level].join();
  });
  return ["row of images,column of images,row,column,grey level", ...rows, ""].join("\r\n");
}

/** @type {(root: Root, specs: Grid[]) => Figure} */
function figureOfGrids(root, specs) {
  const title = specs.map((spec) => spec.title).join(", ");
  return {
    name: specs[0].title, title, columns: specs.length, panels: root.grids.map(panelOfGrid),
    tables: specs.map((spec) => ({ title: specs.length > 1 ? spec.title : "", text: () => tableOfGrid(spec) })),
  };
}

/** @type {(call: Call<{ grids: Grid[], take: Take }>) => void} */
export default function ({ data, parentElement, setTriggerValue }) {
  const element = /** @type {HTMLElement & { grids?: Shown[] }} */ (partOf(parentElement, ".images"));
  const isNew = !element.grids;
  const root = Object.assign(element, { grids: element.grids ?? [] });
  if (isNew) new ResizeObserver(() => fit(root)).observe(root);
  receive(root, data.grids);
  const host = partOf(parentElement, "[data-take]");
  /** @type {(wanted: [number, string]) => void} */
  const ask = (wanted) => setTriggerValue("asks", wanted);
  const figure = () => (data.grids.length ? figureOfGrids(root, data.grids) : null);
  menuIn({ host, data: data.take, ask, figure });
}
