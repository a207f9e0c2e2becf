// A map of the plane beside the spectral disc. What is marked in one lights up in both; a click in the map, or an arrow
// key, chooses a node. All is drawn on two canvases, so that a hand that drags is followed at once.

import { GREY, rgb, SIGNED, VIRIDIS } from "../canvas/colours.js";
import { shown } from "../canvas/numbers.js";
import { contextOf, pageTheme, penOf } from "../canvas/page.js";
import { ticksOf } from "../canvas/ticks.js";
import { unpacked } from "../canvas/unpack.js";
import { partOf } from "../part.js";
import { menuIn } from "../take/menu.js";

/** @import { Figure, Pen, Place, Range, Theme, Window } from "../canvas/types.js" */
/** @import { Call } from "../types.js" */
/** @import { Data, Draw, Frame, Scene, Side, View } from "./types.js" */

const INFINITE = 255; // the level of what is no number
const LINE = "#D55E00";
const MARGIN = { left: 46, right: 10, top: 6, axis: 36, bar: 40 };
const DISC = 1.06; // half the side of the disc's square
/** @type {Window} */
const OF_DISC = [[-DISC, DISC], [-DISC, DISC]];
const FAINT = 0.1;
const CLICK = 4; // pixels that a click may move
/** @type {Record<string, [number, number]>} */
const MOVES = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const TICKS = 5; // on an axis, at most one more
const WAIT = 250; // milliseconds without another arrow key before the page is told
/** @type {WeakMap<HTMLElement, View>} */
const views = new WeakMap();

/**
 * 255 colours between the stops, [r, g, b] each.
 * @type {(stops: string[]) => number[][]}
 */
function palette(stops) {
  const colours = stops.map(rgb);
  return Array.from({ length: 255 }, (_, level) => {
    const at = (level / 254) * (colours.length - 1);
    const k = Math.min(Math.floor(at), colours.length - 2);
    return colours[k].map((c, i) => Math.round(c + (at - k) * (colours[k + 1][i] - c)));
  });
}

const PALETTES = { viridis: palette(VIRIDIS), signed: palette(SIGNED) };

/**
 * The scene with its arrays decoded; positions of the disc as numbers.
 * @type {(data: Data) => Scene}
 */
function decode(data) {
  const [level, radius, places, error] = [data.level, data.radius, data.eigenvalues, data.error].map(unpacked);
  const eigenvalues = Float32Array.from(places, (v) => (v / 32767 - 1) * DISC);
  return { ...data, level, radius, eigenvalues, error };
}

/**
 * Where a canvas draws: the plot's square, and the data that it covers.
 * @type {(canvas: HTMLCanvasElement, scene: Scene) => Frame}
 */
function frameOf(canvas, scene) {
  const side = canvas.clientWidth - MARGIN.left - MARGIN.right;
  const [x, y] = canvas.dataset.view === "map" ? cellWindow(scene) : OF_DISC;
  const height = canvas.dataset.view === "map" ? side * (y[1] - y[0]) / (x[1] - x[0]) : side;
  return {
    left: MARGIN.left, top: MARGIN.top, width: side, height, x, y,
    toPixel: (a, b) => [
      MARGIN.left + ((a - x[0]) / (x[1] - x[0])) * side,
      MARGIN.top + ((y[1] - b) / (y[1] - y[0])) * height,
    ],
    toData: (p, q) => [
      x[0] + ((p - MARGIN.left) / side) * (x[1] - x[0]),
      y[1] - ((q - MARGIN.top) / height) * (y[1] - y[0]),
    ],
  };
}

/**
 * The window with half a cell more on each side, since nodes lie in the middle of their cells.
 * @type {(scene: Scene) => Window}
 */
function cellWindow({ window, n }) {
  /** @type {(range: Range) => Range} */
  const wider = ([low, high]) => {
    const half = (high - low) / (n - 1) / 2;
    return [low - half, high + half];
  };
  return [wider(window[0]), wider(window[1])];
}

/** @type {(scene: Scene, i: number) => Place} */
function nodeOf({ window, n }, i) {
  const [x, y] = window;
  return [x[0] + ((i % n) * (x[1] - x[0])) / (n - 1), y[0] + (Math.floor(i / n) * (y[1] - y[0])) / (n - 1)];
}

/** @type {(scene: Scene, a: number, b: number) => number} */
function nodeAt({ window, n }, a, b) {
  /** @type {(v: number, range: Range) => number} */
  const place = (v, [low, high]) => Math.max(0, Math.min(n - 1, Math.round(((v - low) / (high - low)) * (n - 1))));
  return place(b, window[1]) * n + place(a, window[0]);
}

/**
 * 1 for every node that is marked, or for all where nothing is.
 * @type {(view: View) => Uint8Array}
 */
function litNodes({ scene, brush }) {
  const lit = new Uint8Array(scene.n ** 2).fill(brush ? 0 : 1);
  if (!brush) return lit;
  const [[x0, x1], [y0, y1]] = brush.box;
  /** @type {(a: number, b: number) => boolean} */
  const inside = (a, b) => a >= x0 && a <= x1 && b >= y0 && b <= y1;
  for (let i = 0; i < lit.length; i++) {
    const e = scene.eigenvalues.subarray(4 * i, 4 * i + 4);
    lit[i] = Number(brush.view === "map" ? inside(...nodeOf(scene, i)) : inside(e[0], e[1]) || inside(e[2], e[3]));
  }
  return lit;
}

/**
 * The pen of a canvas that is as high as this, unless `given` is to draw in its place.
 * @type {(canvas: HTMLCanvasElement, height: number, given: Pen | null) => Pen}
 */
function prepared(canvas, height, given) {
  if (given) return given;
  canvas.style.height = `${height}px`;
  return penOf(canvas, canvas.clientWidth, height, window.devicePixelRatio || 1);
}

/** @type {(pen: Pen, frame: Frame, theme: Theme, titles: [string, string]) => void} */
function drawAxes(pen, frame, theme, [xTitle, yTitle]) {
  /** @type {(size: number) => string} */
  const style = (size) => `${size}px ${theme.font}`;
  pen.strokeStyle = theme.ink(0.25);
  pen.lineWidth = 1;
  pen.strokeRect(frame.left, frame.top, frame.width, frame.height);
  pen.fillStyle = theme.ink(0.65);
  pen.font = style(11);
  const bottom = frame.top + frame.height;
  pen.textAlign = "center";
  pen.textBaseline = "top";
  for (const { value, text } of ticksOf(frame.x, TICKS)) pen.fillText(text, frame.toPixel(value, 0)[0], bottom + 4);
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const { value, text } of ticksOf(frame.y, TICKS)) pen.fillText(text, frame.left - 5, frame.toPixel(0, value)[1]);
  pen.fillStyle = theme.ink(0.8);
  pen.font = style(12);
  pen.textAlign = "center";
  pen.textBaseline = "top";
  pen.fillText(xTitle, frame.left + frame.width / 2, bottom + 18);
  pen.save();
  pen.translate(10, frame.top + frame.height / 2);
  pen.rotate(-Math.PI / 2);
  pen.textBaseline = "middle";
  pen.fillText(yTitle, 0, 0);
  pen.restore();
}

/**
 * A bar of colours with its numbers, below the axes.
 * @type {(pen: Pen, frame: Frame, theme: Theme, colours: number[][], range: Range, title: string) => void}
 */
function drawBar(pen, frame, theme, colours, [low, high], title) {
  const top = frame.top + frame.height + MARGIN.axis + 2;
  for (let k = 0; k < frame.width; k++) {
    pen.fillStyle = `rgb(${colours[Math.round((k / (frame.width - 1)) * 254)]})`;
    pen.fillRect(frame.left + k, top, 1.5, 8);
  }
  pen.fillStyle = theme.ink(0.65);
  pen.font = `11px ${theme.font}`;
  pen.textBaseline = "top";
  pen.textAlign = "right";
  pen.fillText(title, frame.left + frame.width, top + 24);
  pen.textAlign = "center";
  if (!(high > low)) return;
  for (const { value, text } of ticksOf([low, high], frame.width > 260 ? TICKS : 3)) {
    pen.fillText(text, frame.left + ((value - low) / (high - low)) * frame.width, top + 11);
  }
}

/** @type {(pen: Pen, frame: Frame, view: View, side: Side, theme: Theme) => void} */
function drawBrush(pen, frame, { brush }, side, theme) {
  if (brush?.view !== side) return;
  const [[x0, x1], [y0, y1]] = brush.box;
  const [a, b] = frame.toPixel(x0, y1);
  const [c, d] = frame.toPixel(x1, y0);
  pen.strokeStyle = theme.ink(0.9);
  pen.setLineDash([4, 3]);
  pen.strokeRect(a, b, c - a, d - b);
  pen.setLineDash([]);
}

/** @type {Draw} */
function drawMap(view, canvas, lit, theme, given = null) {
  const { scene } = view;
  const { n } = scene;
  const frame = frameOf(canvas, scene);
  const pen = prepared(canvas, frame.top + frame.height + MARGIN.axis + MARGIN.bar, given);
  const colours = PALETTES[scene.palette];
  const image = new ImageData(n, n);
  for (let i = 0; i < n * n; i++) {
    const colour = scene.level[i] === INFINITE ? GREY : colours[scene.level[i]];
    const place = 4 * ((n - 1 - Math.floor(i / n)) * n + (i % n));
    image.data.set(colour, place);
    image.data[place + 3] = lit[i] ? 255 : 255 * FAINT;
  }
  const small = Object.assign(document.createElement("canvas"), { width: n, height: n });
  contextOf(small).putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, frame.left, frame.top, frame.width, frame.height);
  pen.imageSmoothingEnabled = true;
  if (scene.limit !== null) drawContour(pen, frame, scene, scene.limit);
  drawAxes(pen, frame, theme, scene.axes);
  drawBar(pen, frame, theme, colours, scene.range, scene.unit);
  drawBrush(pen, frame, view, "map", theme);
  if (view.picked !== null) {
    const [p, q] = frame.toPixel(...nodeOf(scene, view.picked));
    for (const { colour, width } of [{ colour: "#fff", width: 4 }, { colour: "#000", width: 2 }]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      pen.beginPath();
      pen.arc(p, q, 7, 0, 2 * Math.PI);
      pen.stroke();
    }
  }
}

/**
 * Where the radius passes the limit, by marching squares between the nodes.
 * @type {(pen: Pen, frame: Frame, scene: Scene, limit: number) => void}
 */
function drawContour(pen, frame, scene, limit) {
  const { n, radius } = scene;
  /** @type {(i: number) => number} */
  const above = (i) => radius[i] / 65535 - limit;
  /** @type {(i: number, j: number) => Place} */
  const between = (i, j) => {
    const share = above(i) / (above(i) - above(j));
    const [a, b] = [nodeOf(scene, i), nodeOf(scene, j)];
    return frame.toPixel(a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]));
  };
  pen.strokeStyle = LINE;
  pen.lineWidth = 1.8;
  pen.beginPath();
  for (let row = 0; row < n - 1; row++) {
    for (let column = 0; column < n - 1; column++) {
      const i = row * n + column;
      const corners = [i, i + 1, i + n + 1, i + n];
      const crossed = corners.flatMap((a, k) => {
        const b = corners[(k + 1) % 4];
        return above(a) > 0 !== above(b) > 0 ? [between(a, b)] : [];
      });
      for (let k = 0; k + 1 < crossed.length; k += 2) {
        pen.moveTo(...crossed[k]);
        pen.lineTo(...crossed[k + 1]);
      }
    }
  }
  pen.stroke();
}

/** @type {Draw} */
function drawDisc(view, canvas, lit, theme, given = null) {
  const { scene } = view;
  const frame = frameOf(canvas, scene);
  const pen = prepared(canvas, frame.top + frame.height + MARGIN.axis + MARGIN.bar, given);
  const colours = PALETTES.signed;
  const styles = colours.map((c) => `rgb(${c})`);
  for (const wanted of [0, 1]) {
    pen.globalAlpha = wanted ? 0.9 : FAINT;
    for (let i = 0; i < lit.length; i++) {
      if (lit[i] !== wanted) continue;
      for (const k of [4 * i, 4 * i + 2]) {
        pen.fillStyle = styles[scene.error[k / 2]];
        const [p, q] = frame.toPixel(scene.eigenvalues[k], scene.eigenvalues[k + 1]);
        pen.fillRect(p - 1.2, q - 1.2, 2.4, 2.4);
      }
    }
  }
  pen.globalAlpha = 1;
  drawCircles(pen, frame, theme, scene.circles);
  if (view.picked !== null) {
    pen.strokeStyle = theme.ink(1);
    pen.lineWidth = 2;
    for (const k of [4 * view.picked, 4 * view.picked + 2]) {
      pen.beginPath();
      pen.arc(...frame.toPixel(scene.eigenvalues[k], scene.eigenvalues[k + 1]), 6, 0, 2 * Math.PI);
      pen.stroke();
    }
  }
  drawAxes(pen, frame, theme, ["Re λ", "Im λ"]);
  drawBar(pen, frame, theme, colours, scene.error_range, "cut series − log(1 + λ)");
  drawBrush(pen, frame, view, "disc", theme);
}

/**
 * Circles around 0, each with its name at an angle of its own.
 * @type {(pen: Pen, frame: Frame, theme: Theme, circles: Scene["circles"]) => void}
 */
function drawCircles(pen, frame, theme, circles) {
  const unit = frame.width / (2 * DISC);
  const middle = frame.toPixel(0, 0);
  pen.font = `600 12px ${theme.font}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  circles.forEach(([name, radius], k) => {
    pen.strokeStyle = theme.ink(name === "1" ? 0.5 : 0.75);
    pen.lineWidth = 1.3;
    pen.setLineDash([[], [6, 3], [2, 3], [8, 3, 2, 3]][k % 4]);
    pen.beginPath();
    pen.arc(...middle, radius * unit, 0, 2 * Math.PI);
    pen.stroke();
    const angle = (0.2 + 0.17 * k) * Math.PI;
    const [p, q] = [middle[0] + radius * unit * Math.cos(angle), middle[1] - radius * unit * Math.sin(angle)];
    const wide = pen.measureText(name).width + 6;
    pen.fillStyle = theme.paper;
    pen.fillRect(p - wide / 2, q - 8, wide, 16);
    pen.fillStyle = theme.ink(0.85);
    pen.fillText(name, p, q);
  });
  pen.setLineDash([]);
}

/**
 * Draw both, at most once a frame of the screen.
 * @type {(view: View) => void}
 */
function draw(view) {
  view.due ??= requestAnimationFrame(() => {
    view.due = null;
    if (!view.root.clientWidth) return;
    const [theme, lit] = [pageTheme(view.root), litNodes(view)];
    drawMap(view, view.canvases[0], lit, theme);
    drawDisc(view, view.canvases[1], lit, theme);
    view.root.dataset.lit = String(lit.reduce((sum, l) => sum + l, 0));
    view.root.dataset.drawn = String(Number(view.root.dataset.drawn ?? 0) + 1);
  });
}

/**
 * A node in words.
 * @type {(view: View, i: number) => string}
 */
function told({ scene }, i) {
  const [x, y] = nodeOf(scene, i);
  const [low, high] = scene.range;
  const value = scene.level[i] === INFINITE ? "infinite" : shown(low + (scene.level[i] / 254) * (high - low));
  const [re, im] = scene.eigenvalues.subarray(4 * i, 4 * i + 2);
  const imaginary = Math.abs(im) < 1e-4 ? "" : ` ${im < 0 ? "−" : "+"} ${shown(Math.abs(im))}i`;
  return `${scene.axes[0]} = ${shown(x)}, ${scene.axes[1]} = ${shown(y)}: ${scene.name} ${value}, `
    + `ρ = ${shown(scene.radius[i] / 65535)}, λ = ${shown(re)}${imaginary}`;
}

/** @type {(view: View, i?: number) => void} */
function say(view, i) {
  const chosen = i ?? view.picked;
  partOf(view.root, ".told").textContent = chosen === null ? "" : told(view, chosen);
}

/** @type {(view: View, i: number, at?: number) => void} */
function pick(view, i, at = 0) {
  view.picked = i;
  say(view);
  draw(view);
  clearTimeout(view.timer);
  view.timer = setTimeout(() => view.setState("picked", i), at);
}

/** @type {(view: View) => void} */
function listen(view) {
  /** @type {(event: PointerEvent, canvas: HTMLCanvasElement) => Place} */
  const place = (event, canvas) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  for (const canvas of view.canvases) {
    const name = canvas.dataset.view === "map" ? "map" : "disc";
    /** @type {Place | null} */
    let start = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button === 0) start = place(event, canvas);
      if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const here = place(event, canvas);
      const frame = frameOf(canvas, view.scene);
      if (start && event.pointerType !== "touch" && Math.hypot(here[0] - start[0], here[1] - start[1]) >= CLICK) {
        const [a, b] = [frame.toData(...start), frame.toData(...here)];
        /** @type {(k: 0 | 1) => Range} */
        const side = (k) => [Math.min(a[k], b[k]), Math.max(a[k], b[k])];
        view.brush = { view: name, box: [side(0), side(1)] };
        draw(view);
      } else if (name === "map") {
        say(view, nodeAt(view.scene, ...frame.toData(...here)));
      }
    });
    canvas.addEventListener("pointerup", (event) => {
      const here = place(event, canvas);
      const moved = start && Math.hypot(here[0] - start[0], here[1] - start[1]) >= CLICK;
      if (start && !moved) {
        view.brush = null;
        if (name === "map") pick(view, nodeAt(view.scene, ...frameOf(canvas, view.scene).toData(...here)));
        draw(view);
      }
      start = null;
    });
    canvas.addEventListener("pointercancel", () => { start = null; });
    canvas.addEventListener("pointerleave", () => say(view));
  }
  view.canvases[0].addEventListener("keydown", (event) => {
    if (!(event.key in MOVES)) return;
    event.preventDefault();
    const { n } = view.scene;
    const [right, up] = MOVES[event.key];
    const i = view.picked ?? Math.floor((n * n + n) / 2);
    const [column, row] = [(i % n) + right, Math.floor(i / n) + up];
    if (column >= 0 && column < n && row >= 0 && row < n) pick(view, row * n + column, WAIT);
  });
  new ResizeObserver(() => draw(view)).observe(view.root);
}

/**
 * Both as a figure (`take/sheet.js`), and their numbers.
 * @type {(view: View) => Figure}
 */
function figureOf(view) {
  const { scene, canvases, root } = view;
  const lit = litNodes(view);
  const titles = [...root.querySelectorAll("figcaption")].map((one) => one.textContent ?? "");
  const draws = [drawMap, drawDisc];
  /** @type {(ends: Range, level: number) => number} */
  const range = ([low, high], level) => low + (level / 254) * (high - low);
  /** @type {(cells: string[]) => string} */
  const line = (cells) => cells.map((cell) => `"${String(cell).replaceAll('"', '""')}"`).join();
  /** @type {(head: string[], row: (i: number) => string[]) => string} */
  const of = (head, row) =>
    [
      line(head),
      ...Array.from(lit, (_, i) => row(i))
        .filter((_, i) => lit[i])
        .flat(),
      "",
    ].join("\r\n");
  /** @type {(value: number) => number} */
  const rounded = (value) => Number(value.toPrecision(7)); // as fine as float32
  /** @type {(i: number) => number[]} */
  const place = (i) => nodeOf(scene, i).map(rounded);
  /** @type {(name: string, range: Range) => string} */
  const fine = (name, [low, high]) => `${name} (to ${shown((high - low) / 508)})`;
  const map = () =>
    of([...scene.axes, fine(scene.unit || scene.name, scene.range), "spectral radius"], (i) => [
      [
        ...place(i),
        scene.level[i] === INFINITE ? "inf" : rounded(range(scene.range, scene.level[i])),
        rounded(scene.radius[i] / 65535),
      ].join(),
    ]);
  const disc = () =>
    of([...scene.axes, "Re λ", "Im λ", fine("cut series − log(1 + λ)", scene.error_range)], (i) =>
      [4 * i, 4 * i + 2].map((k) =>
        [
          ...place(i),
          ...[scene.eigenvalues[k], scene.eigenvalues[k + 1], range(scene.error_range, scene.error[k / 2])].map(
            rounded,
          ),
        ].join(),
      ),
    );
  return {
    name: titles[0], title: titles.join(", "), columns: 2,
    panels: canvases.map((canvas, k) => ({
      title: titles[k], note: "", alt: canvas.getAttribute("aria-label") ?? "", width: canvas.clientWidth,
      height: canvas.clientHeight, draw: (pen, theme) => draws[k](view, canvas, lit, theme, pen),
    })),
    tables: [{ title: titles[0], text: map }, { title: titles[1], text: disc }],
  };
}

/** @type {(call: Call<Data>) => void} */
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = partOf(parentElement, ".map-and-disc");
  const known = views.get(root);
  /** @type {Pick<View, "scene" | "setState">} */
  const now = { scene: decode(data), setState: setStateValue };
  const canvases = [...root.querySelectorAll("canvas")];
  const view = known ? Object.assign(known, now) : { root, canvases, brush: null, picked: null, due: null, ...now };
  const captions = root.querySelectorAll("figcaption");
  captions[0].textContent = data.title;
  captions[1].textContent = "Spectral disc: the eigenvalues λ of A";
  view.canvases[0].setAttribute("aria-label", data.alt.map);
  view.canvases[1].setAttribute("aria-label", data.alt.disc);
  if (!known) {
    views.set(root, view);
    listen(view);
  }
  say(view);
  draw(view);
  const host = partOf(root, "[data-take]");
  menuIn({ host, data: data.take, ask: (wanted) => setTriggerValue("asks", wanted), figure: () => figureOf(view) });
}
