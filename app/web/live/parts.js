// Slow motion: the step at which the flow stands, in its parts (`encode_step`). While they are shown, both planes are
// theirs, and a panel says what each part did. They go on by themselves or one at a time; then the usual picture
// stands.

import { finer, valueAt } from "../canvas/field.js";
import { shown } from "../canvas/numbers.js";
import { isCalm } from "../canvas/page.js";
import { MARGIN } from "../canvas/plane.js";
import { partOf } from "../part.js";
import { paint, painters } from "./clock.js";
import { decode, decodeFloats } from "./decode.js";
import { showDepth, stepName } from "./depth.js";
import { views } from "./element.js";
import { isChord, isTaken, OPEN, TYPING } from "./keys.js";
import { quantile } from "./loss.js";
import { placesOf, wayAt } from "./picture.js";
import { CIRCLES, dataSpace, densityLayers, reach } from "./planes.js";
import { focusPlane, isPresented, once, seen } from "./present.js";
import { COLOURS, DENSITY, DIFFERENCE } from "./theme.js";
import { element } from "./words.js";

/** @import { Bar, Field, FieldLayer, Layer, Marker, Numbers, Picture } from "../canvas/types.js" */
/** @import { Place, PointsLayer, Range, Theme } from "../canvas/types.js" */
/** @import { Space } from "./planes.js" */
/** @import { Axis, LiveTheme, PaneName, Painter, PartsPanel, Slow, StepRecord, View } from "./types.js" */

/** @typedef {{ x: Numbers, y: Numbers }} Places */

/** @typedef {(view: View, slow: Slow, theme: LiveTheme) => Picture} SlowPainter */

/**
 * Fields and points of a record in the units of the axes; `top` and `most` are where the colours of a density and of
 * its change end.
 * @typedef {{ before: Field, change: Field, after: Field, top: number, most: number, points: Places }} Made
 */

const PART_SECONDS = 1.25;
const MOVE_SECONDS = 1; // of which the points move
const SLOWEST = 0.1; // seconds that count between two drawings: on a busy machine every part is still drawn
const [FORWARD, LOSS, GRADIENT, UPDATE, CONSTRAINT] = [1, 2, 3, 4, 5];
const MOST_ARROWS = 80;
const MOST_WAYS = 24;
const SHADES = 12; // of points that are coloured by a number
const AFTER = "#0072B2"; // the bars after the cap
// What has arrow keys of its own.
const WITH_ARROWS = ".live-plot, input, select, textarea, [role=slider], [role=radio], [role=tab], [role=combobox]";
// Where a narrow page must look in each part.
/** @type {PaneName[]} */
const IN_SIGHT = ["data", "latent", "data", "data", "latent", "latent"];
/** @type {Map<string, { at: number, isOpen: boolean }>} */
const partsSeen = new Map(); // run and step -> {at, isOpen}: for a page that comes back

/**
 * The parts of the scene: shown once by themselves, and whenever they are asked for.
 * @type {(view: View) => void}
 */
export function receiveParts(view) {
  const record = view.scene.parts;
  const id = record ? `${view.scene.run} ${record.step}` : "";
  if (view.slow && view.slow.id !== id) closeParts(view);
  if (record && !view.slow) {
    const seen = partsSeen.get(id);
    if (!seen) openParts(view, id, record, { plays: !isCalm() });
    else if (seen.isOpen) openParts(view, id, record, { at: seen.at });
  }
  showAgain(view);
  if (view.slow) sayPart(view, view.slow);
}

/** @type {(view: View, id: string, record: StepRecord, begin?: { at?: number, plays?: boolean }) => void} */
function openParts(view, id, record, { at = 0, plays = false } = {}) {
  const active = document.activeElement;
  const back = active && active === view.again ? view.again : null;
  const slow = { id, record, at, plays, back, elapsed: 0, share: 0, request: 0, time: 0, rest: 0 };
  view.slow = slow;
  const { panel } = partsPanel(view);
  panel.hidden = false;
  if (!active?.matches(TYPING) && !seen([OPEN])) panel.focus({ preventScroll: true });
  goToPart(view, slow, at);
  showAgain(view);
}

/**
 * Back to the usual picture. The focus, if the panel had it, goes to what has opened it, or to the data space.
 * @type {(view: View) => void}
 */
function closeParts(view) {
  const { slow } = view;
  if (!slow) return;
  cancelAnimationFrame(slow.request);
  view.slow = null;
  partsSeen.set(slow.id, { at: 0, isOpen: false });
  const { panel } = partsPanel(view);
  const hadFocus = panel.contains(document.activeElement);
  panel.hidden = true;
  delete view.root.dataset.part;
  const { panes: { data, latent, loss }, scene: { alt } } = view;
  for (const { section } of [data, latent]) partOf(section, ".live-part-name").textContent = "";
  data.box.setAttribute("aria-label", alt.data);
  loss.box.setAttribute("aria-label", alt.loss);
  showAgain(view);
  paint(view, ["data", "latent"]);
  showDepth(view);
  if (!hadFocus) return;
  if (slow.back?.isConnected && !slow.back.hidden) slow.back.focus({ preventScroll: true });
  else focusPlane();
}

/**
 * Show a part from its beginning; after the last one, the usual picture.
 * @type {(view: View, slow: Slow, at: number) => void}
 */
function goToPart(view, slow, at) {
  if (at >= slow.record.parts.length) {
    closeParts(view);
    return;
  }
  Object.assign(slow, { at: Math.max(0, at), elapsed: 0, share: isCalm() ? 1 : 0, moves: !isCalm() });
  partsSeen.set(slow.id, { at: slow.at, isOpen: true });
  sayPart(view, slow);
  paint(view, ["data", "latent"]);
  if (view.root.dataset.columns === "1" && !isPresented()) {
    view.panes[IN_SIGHT[slow.at]].section.scrollIntoView({ block: "start", behavior: isCalm() ? "auto" : "smooth" });
  }
  runParts(view, slow);
}

/**
 * By hand: from then on one at a time.
 * @type {(view: View, slow: Slow, by: number) => void}
 */
function stepParts(view, slow, by) {
  slow.plays = false;
  goToPart(view, slow, slow.at + by);
}

/** @type {(view: View, slow: Slow) => void} */
function holdParts(view, slow) {
  if (isCalm()) {
    stepParts(view, slow, 1);
    return;
  }
  slow.plays = !slow.plays;
  slow.moves = slow.plays;
  sayPart(view, slow);
  runParts(view, slow);
}

/** @type {(view: View, slow: Slow) => void} */
function runParts(view, slow) {
  cancelAnimationFrame(slow.request);
  slow.time = performance.now();
  slow.request = requestAnimationFrame(() => advanceParts(view, slow));
}

/**
 * The clock of the parts: it runs while they go on by themselves, or points are on their way.
 * @type {(view: View, slow: Slow) => void}
 */
function advanceParts(view, slow) {
  if (view.slow !== slow || !view.root.isConnected) return;
  const now = performance.now();
  slow.elapsed += Math.min(SLOWEST, (now - slow.time) / 1000);
  slow.time = now;
  const share = slow.at === FORWARD && !isCalm() ? Math.min(1, slow.elapsed / MOVE_SECONDS) : 1;
  if (slow.moves && share !== slow.share && now >= slow.rest) {
    slow.share = share;
    if (slow.at === FORWARD) paint(view, ["latent"], view.theme);
    slow.rest = 2 * performance.now() - now;
  }
  view.root.style.setProperty("--part-done", String(slow.plays ? Math.min(1, slow.elapsed / PART_SECONDS) : 1));
  if (slow.plays && slow.elapsed >= PART_SECONDS && slow.share === share) {
    goToPart(view, slow, slow.at + 1);
    return;
  }
  if (slow.plays || (slow.moves && slow.share < 1))
    slow.request = requestAnimationFrame(() => advanceParts(view, slow));
}

/**
 * The panel, its buttons and the names over the planes, made once.
 * @type {(view: View) => PartsPanel}
 */
function partsPanel(view) {
  if (view.parts) return view.parts;
  const panel = element("section", "live-parts", "", { tabindex: -1, "aria-label": "The step in its parts" });
  const head = element("header", "");
  const place = element("span", "live-parts-place");
  const title = element("h3", "");
  const said = element("div", "live-parts-said", "", { "aria-live": "polite" });
  const [text, list] = [element("p", ""), element("dl", "")];
  const marks = element("span", "live-parts-marks", "", { "aria-hidden": true });
  const buttons = element("div", "live-parts-buttons", "", { role: "group", "aria-label": "Parts of the step" });
  /** @type {(name: string, label: string, act: (slow: Slow) => void) => HTMLButtonElement} */
  const button = (name, label, act) => {
    const one = element("button", "", label, { type: "button", "data-parts": name });
    one.addEventListener("click", () => { if (view.slow) act(view.slow); });
    return one;
  };
  const all = {
    back: button("back", "Back", (slow) => stepParts(view, slow, -1)),
    hold: button("hold", "Pause", (slow) => holdParts(view, slow)),
    next: button("next", "Next", (slow) => stepParts(view, slow, 1)),
    close: button("close", "Close", () => closeParts(view)),
  };
  head.append(place, title);
  said.append(head, text, list);
  buttons.append(...Object.values(all));
  panel.append(marks, buttons, said);
  panel.hidden = true;
  view.root.append(panel);
  for (const { section } of [view.panes.data, view.panes.latent]) {
    partOf(section, "header").append(element("h2", "live-part-name"));
  }
  view.parts = { panel, place, title, text, list, marks, button: all };
  return view.parts;
}

/**
 * Bring the panel and the words around the planes up to date with the part.
 * @type {(view: View, slow: Slow) => void}
 */
function sayPart(view, { record, at, plays }) {
  const { place, title, text, list, marks, button } = partsPanel(view);
  const [part, count] = [record.parts[at], record.parts.length];
  view.root.dataset.part = String(at + 1);
  view.root.dataset.partPlays = String(plays);
  if (title.textContent !== part.title || marks.childElementCount !== count) { // else a reader would say it again
    place.textContent = `${at + 1} of ${count}`;
    title.textContent = part.title;
    text.textContent = part.text;
    list.replaceChildren(...part.numbers.map(([name, value]) => {
      const pair = element("div", "");
      pair.append(element("dt", "", name), element("dd", "", value));
      return pair;
    }));
    marks.replaceChildren(...record.parts.map((_, i) => element("i", i < at ? "done" : i === at ? "now" : "")));
  }
  button.back.disabled = at === 0;
  button.next.textContent = at === count - 1 ? "Done" : "Next";
  button.hold.hidden = isCalm();
  button.hold.textContent = plays ? "Pause" : "Play on";
  [view.panes.data, view.panes.latent].forEach(({ section, box }, i) => {
    partOf(section, ".live-part-name").textContent = `${at + 1} of ${count}: ${part.planes[i]}`;
    box.setAttribute("aria-label", `Part ${at + 1} of ${count}. ${part.alts[i]}`);
  });
}

/**
 * What opens the parts again, as long as the flow stands at this step.
 * @type {(view: View) => void}
 */
function showAgain(view) {
  const { parts: record } = view.scene;
  if (!view.again) {
    if (!record) return;
    view.again = element("button", "live-again", "", { type: "button" });
    view.again.addEventListener("click", () => {
      const { parts, run: now } = view.scene;
      if (parts) openParts(view, `${now} ${parts.step}`, parts);
    });
    view.panes.data.section.append(view.again);
  }
  view.again.hidden = !record || Boolean(view.slow);
  if (record)
    view.again.textContent = `${stepName(record.step)[0].toUpperCase()}${stepName(record.step).slice(1)} in its parts`;
}

/**
 * Which space a pane shows, whose zoom it has; null where there is nothing to zoom.
 * @type {(slow: Slow, name: PaneName) => PaneName | null}
 */
export function spaceInParts({ at, record }, name) {
  if (name !== "latent") return name;
  if (at < LOSS || (at === LOSS && record.exact)) return "latent";
  return at === GRADIENT || at === UPDATE ? "data" : null;
}

// Pictures: of a part of a step, as planes draw them.

const partPainters = { data: paneOfPart, latent: secondOfPart };
/** @type {(view: View, name: PaneName) => Painter} */
export const painterOf = ({ slow }, name) => {
  if (!slow || name === "loss") return painters[name];
  return (view, theme) => partPainters[name](view, slow, theme);
};
/** @type {WeakMap<StepRecord, Made>} */
const made = new WeakMap(); // record -> what is worked out of it once

/**
 * Fields and points of a record in the units of the axes.
 * @type {(record: StepRecord, space: Space, axes: Axis[]) => Made}
 */
function madeOf(record, space, axes) {
  const known = made.get(record);
  if (known) return known;
  const [rows, columns] = record.density.shape;
  const [density, change] = [decode(record.density), decode(record.change)];
  /** @type {(values: Float32Array) => Field} */
  const field = (values) => ({ rows, columns, values });
  /** @type {(values: ArrayLike<number>) => Float32Array} */
  const sorted = (values) => Float32Array.from(values).filter(Number.isFinite).sort();
  const before = Float32Array.from(density, (v) => v / space.area);
  const difference = Float32Array.from(change, (v) => v / space.area);
  const sizes = sorted(difference.map(Math.abs));
  const found = {
    before: field(before), change: field(difference), after: field(before.map((v, i) => v + difference[i])),
    top: sorted(before)[Math.floor(0.995 * (sorted(before).length - 1))] || 1,
    most: (sizes.length && quantile(sizes, 0.995)) || 1e-12,
    points: placesOf(decodeFloats(record.points), axes),
  };
  made.set(record, found);
  return found;
}

/** @type {SlowPainter} */
function paneOfPart(view, { record, at }, theme) {
  const space = dataSpace(view);
  const { before, after, top, points } = madeOf(record, space, view.scene.axes);
  if (at === LOSS) {
    const { layer, bar } = shaded(points, decode(record.loss), "loss of a point (nats)", theme);
    return spaceOfPart(view, space, [layer], bar, "");
  }
  /** @type {Layer[]} */
  const layers = densityLayers(view, at < UPDATE ? before : after, space.plane, top, true);
  if (at === GRADIENT) layers.push(...arrowsOf(view, record, space, "dark"));
  else if (at < UPDATE) layers.push(pointsOfPart(points, theme, "dark"));
  return spaceOfPart(
    view,
    space,
    layers,
    { title: "density per unit area", range: [0, top], palette: DENSITY },
    "dark",
  );
}

/** @type {SlowPainter} */
function secondOfPart(view, slow, theme) {
  const { record, at, share } = slow;
  if (at === CONSTRAINT) return barsOfPart(record, theme);
  if (at === LOSS && !record.exact) return estimatesOfPart(record, theme);
  if (at < GRADIENT) return latentOfPart(view, slow, theme, at === 0 ? 0 : at === FORWARD ? share : 1);
  const space = dataSpace(view);
  const { change, most, points } = madeOf(record, space, view.scene.axes);
  /** @type {FieldLayer} */
  const ground = {
    kind: "field", name: "change", nodes: change, field: finer(change), window: space.plane, range: [-most, most],
    palette: DIFFERENCE,
  };
  const over = at === GRADIENT ? arrowsOf(view, record, space, "light") : [gainsOf(record, points)];
  /** @type {Bar} */
  const bar = { title: "after − before, per unit area", range: [-most, most], palette: DIFFERENCE };
  const picture = spaceOfPart(view, space, [ground, ...over], bar, "light");
  /** @type {(place: Place) => string} */
  const says = (place) => {
    const value = valueAt(ground.field, space.plane, place);
    return Number.isFinite(value) ? `after − before ${shown(value)}` : "";
  };
  return { ...picture, says };
}

/** @type {(view: View, space: Space, layers: Layer[], bar: Bar, over: "dark" | "light" | "") => Picture} */
function spaceOfPart(view, space, layers, bar, over) {
  const [x, y] = view.zoom.data ?? space.plane;
  return { x: { title: space.titles[0], range: x }, y: { title: space.titles[1], range: y }, ratio: space.ratio, layers,
    bar, over };
}

/** @type {(points: Places, theme: Theme, over: "dark" | "") => PointsLayer} */
function pointsOfPart(points, theme, over) {
  const [colour, edge] = over === "dark" ? ["#fff", "rgba(12,12,24,0.8)"] : [theme.ink(0.6), theme.paper];
  return {
    kind: "points",
    name: "batch",
    ...points,
    marker: { size: 5, symbol: "circle", colour, edge: { width: 1, colour: edge } },
  };
}

/**
 * Points whose colour and size say a number.
 * @type {(points: Places, values: ArrayLike<number>, title: string, theme: Theme) => { layer: PointsLayer, bar: Bar }}
 */
function shaded(points, values, title, theme) {
  const finite = Float32Array.from(values).filter(Number.isFinite).sort();
  const [low, high] = finite.length ? [quantile(finite, 0.02), quantile(finite, 0.98)] : [0, 1];
  /** @type {Range} */
  const range = [low, high > low ? high : low + 1e-6];
  const bytes = new Uint8ClampedArray(DENSITY.buffer);
  const markers = Array.from({ length: SHADES }, (_, k) => {
    const colour = 4 * Math.round((255 * k) / (SHADES - 1));
    return {
      size: 4 + (5 * k) / (SHADES - 1),
      symbol: "circle",
      colour: `rgb(${[...bytes.slice(colour, colour + 3)].join()})`,
      edge: { width: 0.8, colour: theme.ink(0.55) },
    };
  });
  const index = Uint8Array.from(values, (v) =>
    Math.max(0, Math.min(SHADES - 1, Math.round(((v - range[0]) / (range[1] - range[0])) * (SHADES - 1)) || 0)));
  return {
    layer: { kind: "points", name: "batch", ...points, markers, index },
    bar: { title, range, palette: DENSITY },
  };
}

/**
 * The points on their way, at a share of it.
 * @type {(view: View, slow: Slow, theme: Theme, share: number) => Picture}
 */
function latentOfPart(view, { record, at }, theme, share) {
  const last = record.stages.shape[0] - 1;
  const [here, x, z] = [share * last, 0, last].map((stage) => reachedAt(record, stage));
  const side = Math.min(view.scene.frame_window[1], Math.max(reach(x), reach(z)));
  const [across, up] = view.zoom.latent ?? [[-side, side], [-side, side]];
  const isAtEnd = share === 1;
  /** @type {Layer[]} */
  const layers = [];
  if (at === FORWARD) layers.push({
    kind: "line",
    name: "ways",
    ...waysOf(record, share * last),
    width: 0.9,
    colour: theme.ink(0.28),
  });
  const { layer, bar } = at === LOSS ? shaded(here, decode(record.log_det), "log det of a point (nats)", theme)
    : { layer: pointsOfPart(here, theme, ""), bar: null };
  layers.push(layer, {
    kind: "circles",
    name: "circles",
    radii: CIRCLES,
    colour: theme.ink(0.6),
    still: [],
    visible: isAtEnd,
  });
  const letter = isAtEnd ? "z" : share === 0 ? "x" : "h";
  return { x: { title: `${letter}₁`, range: across }, y: { title: `${letter}₂`, range: up }, ratio: 1, layers, bar };
}

/**
 * Where the points are at a place between two stages.
 * @type {(record: StepRecord, at: number) => { x: Float64Array, y: Float64Array }}
 */
function reachedAt({ stages }, at) {
  const [count] = stages.shape;
  const ways = { first: 0, count, points: decodeFloats(stages), lines: new Float32Array(0), linePoints: 1 };
  return placesOf(wayAt(ways, at).points);
}

/** @type {() => { x: number[], y: number[] }} */
const noPlaces = () => ({ x: [], y: [] });

/**
 * The ways of the first points up to a stage.
 * @type {(record: StepRecord, end: number) => { x: number[], y: number[] }}
 */
function waysOf(record, end) {
  const { x, y } = noPlaces();
  const places = Array.from({ length: Math.floor(end) + 1 }, (_, k) => k);
  if (end > places[places.length - 1]) places.push(end);
  const reached = places.map((place) => reachedAt(record, place));
  for (let i = 0; i < Math.min(MOST_WAYS, record.stages.shape[1]); i++) {
    for (const points of reached) {
      x.push(points.x[i]);
      y.push(points.y[i]);
    }
    x.push(NaN);
    y.push(NaN);
  }
  return { x, y };
}

/**
 * An arrow to each of the first points, from where it pulls the density: by the exact log det, and by the estimate
 * where there is one.
 * @type {(view: View, record: StepRecord, space: Space, over: "dark" | "light") => Layer[]}
 */
function arrowsOf(view, record, space, over) {
  const { points } = madeOf(record, space, view.scene.axes);
  const { axes, window: [[x0, x1]] } = view.scene;
  const pulls = [record.true_pull, record.pull].map(decode);
  const lengths = Float32Array.from({ length: record.pull.shape[0] }, (_, i) =>
    Math.hypot(pulls[0][2 * i], pulls[0][2 * i + 1]),
  )
    .filter(Number.isFinite)
    .sort();
  const unit = (0.1 * (x1 - x0)) / ((lengths.length && quantile(lengths, 0.95)) || 1);
  const look =
    over === "dark" ? { colour: "#fff", halo: "rgba(12,12,24,0.9)" } : { colour: "rgb(35,35,45)", halo: "#fff" };
  /** @type {(pull: ArrayLike<number>) => { x: number[], y: number[] }} */
  const traced = (pull) => {
    const { x, y } = noPlaces();
    for (let i = 0; i < Math.min(MOST_ARROWS, points.x.length); i++) {
      const [u, v] = [unit * pull[2 * i], unit * pull[2 * i + 1]];
      const size = Math.min(0.35 * Math.hypot(u, v), 0.02 * (x1 - x0)) / (Math.hypot(u, v) || 1);
      /** @type {(a: number, b: number) => void} */
      const at = (a, b) => {
        x.push(points.x[i] + axes[0].scale * a);
        y.push(points.y[i] + axes[1].scale * b);
      };
      at(-u, -v);
      at(0, 0);
      at(-size * (u + 0.6 * v), -size * (v - 0.6 * u));
      at(0, 0);
      at(-size * (u - 0.6 * v), -size * (v + 0.6 * u));
      at(NaN, NaN);
    }
    return { x, y };
  };
  /** @type {Layer} */
  const exact = { kind: "line", name: "pull", ...traced(pulls[0]), width: 1.4, ...look };
  /** @type {Layer} */
  const estimated = {
    kind: "line",
    name: "estimated pull",
    ...traced(pulls[1]),
    width: 1.2,
    dash: [3, 3],
    colour: COLOURS.samples,
  };
  return record.exact ? [exact] : [estimated, exact];
}

/**
 * Triangles that say whose loss fell or rose.
 * @type {(record: StepRecord, points: Places) => PointsLayer}
 */
function gainsOf(record, points) {
  /** @type {(symbol: string, colour: string, line: string) => Marker} */
  const of = (symbol, colour, line) => ({ size: 7, symbol, colour, edge: { width: 0.9, colour: line } });
  const markers = [of("triangle-down", "#1b1b25", "#fff"), of("triangle-up", "#fff", "#1b1b25")];
  return {
    kind: "points",
    name: "gain",
    ...points,
    markers,
    index: Uint8Array.from(decode(record.gain), (v) => (v > 0 ? 1 : 0)),
  };
}

/**
 * Each point's estimate against the truth.
 * @type {(record: StepRecord, theme: Theme) => Picture}
 */
function estimatesOfPart(record, theme) {
  const [x, y] = [record.true_log_det, record.log_det].map((packed) => Float32Array.from(decode(packed)));
  const both = Float32Array.from([...x, ...y]).filter(Number.isFinite).sort();
  const [low, high] = both.length ? [quantile(both, 0.01), quantile(both, 0.99)] : [0, 1];
  const room = 0.08 * (high - low || 1);
  /** @type {Range} */
  const range = [low - room, high + room];
  /** @type {Layer[]} */
  const layers = [
    { kind: "line", name: "equal", x: range, y: range, width: 1.4, dash: [5, 4], colour: theme.ink(0.7) },
    pointsOfPart({ x, y }, theme, ""),
  ];
  return { x: { title: "exact log det (nats)", range }, y: { title: "estimate (nats)", range }, ratio: 1, layers,
    says: ([a, b]) => `exact ${shown(a)}, estimate ${shown(b)}` };
}

/**
 * Norms before and after the cap, of the layers that changed most.
 * @type {(record: StepRecord, theme: Theme) => Picture}
 */
function barsOfPart({ layers: rows }, theme) {
  const top = Math.max(1, ...rows.flatMap(({ raw, weight, cap }) => [raw, weight, cap]));
  /** @type {(k: number, from: number, to: number, value: number, colour: string) => Layer} */
  const bar = (k, from, to, value, colour) => ({
    kind: "band",
    x: [k + from, k + to],
    low: [0, 0],
    high: [value, value],
    colour,
  });
  const layers = rows.flatMap(({ raw, weight }, k) => [
    bar(k, -0.36, -0.02, raw, theme.ink(0.32)), bar(k, 0.02, 0.36, weight, theme.dark ? COLOURS.gridDark : AFTER),
  ]);
  if (rows.length) layers.push({
    kind: "level",
    y: rows[0].cap,
    text: `cap ${shown(rows[0].cap)}`,
    above: true,
    colour: theme.ink(0.9),
  });
  const changes = rows.map(({ raw, raw_before: before, weight }, k) => ({
    x: k,
    y: Math.max(raw, weight),
    text: `${raw < before ? "−" : "+"}${shown(Number(Math.abs(raw - before).toPrecision(2)))}`,
  }));
  /** @type {Layer} */
  const key = { kind: "key", rows: [[theme.ink(0.32), "before the cap, and what this step added"],
    [theme.dark ? COLOURS.gridDark : AFTER, "after the cap"]] };
  layers.push({ kind: "values", of: changes }, key);
  /** @type {Range} */
  const range = [-0.6, Math.max(0, rows.length - 1) + 1.3]; // with room for the name of the cap
  /** @type {(place: Place) => string} */
  const says = ([x]) => {
    const row = rows[Math.round(x)];
    return row ? `layer ${row.name}: ${shown(row.raw)} before the cap, ${shown(row.weight)} after` : "";
  };
  return {
    x: { title: "block.layer", range, ticks: () => rows.map(({ name }, k) => ({ value: k, text: name })) },
    y: { title: "norm of a layer", range: [0, 1.3 * top] }, layers, margin: MARGIN, says,
  };
}

/** @type {() => View | undefined} */
const slowView = () => [...views].find(({ root, slow }) => root.isConnected && slow);

/** Keys of the parts, before those of the page. */
export const PARTS_KEYS = { names: ["←", "→", "Space", "Esc"], does: "a step in its parts: back, next, pause, close" };

/** @type {(event: KeyboardEvent) => void} */
function onPartsKey(event) {
  const view = slowView();
  const slow = view?.slow;
  if (!slow || event.defaultPrevented || event.isComposing || isChord(event) || isTaken(event)) return;
  const at = event.composedPath()[0];
  const hasArrows = at instanceof Element && at.closest(WITH_ARROWS);
  /** @type {Record<string, () => void>} */
  const acts = {
    ArrowRight: () => stepParts(view, slow, 1), ArrowLeft: () => stepParts(view, slow, -1),
    Space: () => holdParts(view, slow), Escape: () => closeParts(view),
  };
  const act = acts[event.code];
  if (!act || (hasArrows && event.code.startsWith("Arrow")) || (event.repeat && event.code === "Space")) return;
  act();
  event.preventDefault();
  event.stopImmediatePropagation();
}

export function listenToPartsKeys() {
  once("parts", (signal) => addEventListener("keydown", onPartsKey, { signal, capture: true }));
}
