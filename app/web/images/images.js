// Grids of images, each pixel a whole number of the screen's, with a gap between two images.

import { unpacked } from "../canvas/unpack.js";
import { menuIn } from "../take/menu.js";

const GAP = 1; // in pixels of the images
const LARGEST = 4.6; // css pixels of one of theirs, however wide the page
const PAPER = 70; // grey between the images, on light pages and dark ones

function part(tag) {
  return document.createElement(tag);
}

function addGrid(root) {
  const figure = part("figure");
  const grid = { figure, title: part("figcaption"), note: part("p"), canvas: part("canvas"), text: "", size: [0, 0] };
  grid.canvas.setAttribute("role", "img");
  figure.append(grid.title, grid.note, grid.canvas);
  root.append(figure);
  return grid;
}

/** How wide a pixel of the images is in css pixels: a whole number of the screen's, for so many in `room`. */
function scaleOf(columns, room) {
  const ratio = window.devicePixelRatio || 1;
  return Math.max(1, Math.floor(Math.min(LARGEST, room / columns) * ratio)) / ratio;
}

function draw(grid, { images, white }) {
  const [rows, columns, height, width] = images.shape;
  const size = [columns * (width + GAP) + GAP, rows * (height + GAP) + GAP];
  const { canvas } = grid;
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  grid.size = size;
  const context = canvas.getContext("2d");
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

function fit(root) {
  for (const { canvas, size } of root.grids) {
    const scale = scaleOf(size[0], root.clientWidth);
    canvas.style.width = `${size[0] * scale}px`;
    canvas.style.height = `${size[1] * scale}px`;
  }
}

function receive(root, grids) {
  while (root.grids.length > grids.length) root.grids.pop().figure.remove();
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
    root.dataset.drawn = Number(root.dataset.drawn ?? 0) + 1;
  });
  fit(root);
}

/** A grid as a panel of a sheet (`take/sheet.js`): pixels as large as on the page. */
function panelOfGrid({ title, note, canvas }) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  return {
    title: title.textContent, note: note.textContent, alt: canvas.getAttribute("aria-label"), width, height,
    draw(pen) {
      pen.imageSmoothingEnabled = false;
      pen.drawImage(canvas, 0, 0, width, height);
      pen.imageSmoothingEnabled = true;
    },
  };
}

/** The grey levels of all images, a row for each pixel. */
function tableOfGrid({ images }) {
  const [, columns, height, width] = images.shape;
  const rows = Array.from(unpacked(images), (level, i) => {
    const image = Math.floor(i / (width * height));
    const place = [Math.floor(image / columns), image % columns, Math.floor(i / width) % height, i % width];
    return [...place.map((one) => one + 1), level].join();
  });
  return ["row of images,column of images,row,column,grey level", ...rows, ""].join("\r\n");
}

function figureOfGrids(root, specs) {
  const title = specs.map((spec) => spec.title).join(", ");
  return {
    name: specs[0].title, title, columns: specs.length, panels: root.grids.map(panelOfGrid),
    tables: specs.map((spec) => ({ title: specs.length > 1 ? spec.title : "", text: () => tableOfGrid(spec) })),
  };
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".images");
  if (!root.grids) {
    root.grids = [];
    new ResizeObserver(() => fit(root)).observe(root);
  }
  receive(root, data.grids);
  const host = parentElement.querySelector("[data-take]");
  const ask = (wanted) => setTriggerValue("asks", wanted);
  const figure = () => (data.grids.length ? figureOfGrids(root, data.grids) : null);
  menuIn({ host, data: data.take, ask, figure });
}
