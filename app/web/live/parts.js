// Slow motion: the step at which the flow stands, in its parts (`encode_step`). While they are shown, both planes are
// theirs, and a panel says what each part did. They go on by themselves or one at a time; then the usual picture
// stands.

import { finer, valueAt } from "../canvas/field.js";
import { shown } from "../canvas/numbers.js";
import { isCalm } from "../canvas/page.js";
import { MARGIN } from "../canvas/plane.js";
import { paint, painters } from "./clock.js";
import { decode } from "./decode.js";
import { showDepth, stepName } from "./depth.js";
import { views } from "./element.js";
import { isChord, isTaken, OPEN, TYPING } from "./keys.js";
import { quantile } from "./loss.js";
import { placesOf, wayAt } from "./picture.js";
import { CIRCLES, dataSpace, densityLayers, reach } from "./planes.js";
import { focusPlane, isPresented, once, seen } from "./present.js";
import { COLOURS, DENSITY, DIFFERENCE } from "./theme.js";
import { element } from "./words.js";

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
const IN_SIGHT = ["data", "latent", "data", "data", "latent", "latent"];
const partsSeen = new Map(); // run and step -> {at, isOpen}: for a page that comes back

/** The parts of the scene: shown once by themselves, and whenever they are asked for. */
export function receiveParts(view) {
  const record = view.scene.parts;
  const id = record && `${view.scene.run} ${record.step}`;
  if (view.slow && view.slow.id !== id) closeParts(view);
  if (record && !view.slow) {
    const seen = partsSeen.get(id);
    if (!seen) openParts(view, id, record, { plays: !isCalm() });
    else if (seen.isOpen) openParts(view, id, record, { at: seen.at });
  }
  showAgain(view);
  if (view.slow) sayPart(view);
}

function openParts(view, id, record, { at = 0, plays = false } = {}) {
  const active = document.activeElement;
  const back = active === view.again ? active : null;
  view.slow = { id, record, at, plays, back, elapsed: 0, share: 0, request: 0, time: 0, rest: 0 };
  const { panel } = partsPanel(view);
  panel.hidden = false;
  if (!active?.matches(TYPING) && !seen([OPEN])) panel.focus({ preventScroll: true });
  goToPart(view, at);
  showAgain(view);
}

/** Back to the usual picture. The focus, if the panel had it, goes to what has opened it, or to the data space. */
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
  for (const name of ["data", "latent"]) view.panes[name].section.querySelector(".live-part-name").textContent = "";
  for (const name of ["data", "loss"]) view.panes[name].box.setAttribute("aria-label", view.scene.alt[name]);
  showAgain(view);
  paint(view, ["data", "latent"]);
  showDepth(view);
  if (!hadFocus) return;
  if (slow.back?.isConnected && !slow.back.hidden) slow.back.focus({ preventScroll: true });
  else focusPlane();
}

/** Show a part from its beginning; after the last one, the usual picture. */
function goToPart(view, at) {
  const { slow } = view;
  if (at >= slow.record.parts.length) {
    closeParts(view);
    return;
  }
  Object.assign(slow, { at: Math.max(0, at), elapsed: 0, share: isCalm() ? 1 : 0, moves: !isCalm() });
  partsSeen.set(slow.id, { at: slow.at, isOpen: true });
  sayPart(view);
  paint(view, ["data", "latent"]);
  if (view.root.dataset.columns === "1" && !isPresented()) {
    view.panes[IN_SIGHT[slow.at]].section.scrollIntoView({ block: "start", behavior: isCalm() ? "auto" : "smooth" });
  }
  runParts(view);
}

/** By hand: from then on one at a time. */
function stepParts(view, by) {
  view.slow.plays = false;
  goToPart(view, view.slow.at + by);
}

function holdParts(view) {
  const { slow } = view;
  if (isCalm()) {
    stepParts(view, 1);
    return;
  }
  slow.plays = !slow.plays;
  slow.moves = slow.plays;
  sayPart(view);
  runParts(view);
}

function runParts(view) {
  const { slow } = view;
  cancelAnimationFrame(slow.request);
  slow.time = performance.now();
  slow.request = requestAnimationFrame(() => advanceParts(view, slow));
}

/** The clock of the parts: it runs while they go on by themselves, or points are on their way. */
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
  view.root.style.setProperty("--part-done", slow.plays ? Math.min(1, slow.elapsed / PART_SECONDS) : 1);
  if (slow.plays && slow.elapsed >= PART_SECONDS && slow.share === share) {
    goToPart(view, slow.at + 1);
    return;
  }
  if (slow.plays || (slow.moves && slow.share < 1))
    slow.request = requestAnimationFrame(() => advanceParts(view, slow));
}

/** The panel, its buttons and the names over the planes, made once. */
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
  const made = { back: "Back", hold: "Pause", next: "Next", close: "Close" };
  const does = { back: () => stepParts(view, -1), hold: () => holdParts(view), next: () => stepParts(view, 1),
    close: () => closeParts(view) };
  const button = Object.fromEntries(Object.entries(made).map(([name, label]) => {
    const one = element("button", "", label, { type: "button", "data-parts": name });
    one.addEventListener("click", () => does[name]());
    return [name, one];
  }));
  head.append(place, title);
  said.append(head, text, list);
  buttons.append(...Object.values(button));
  panel.append(marks, buttons, said);
  panel.hidden = true;
  view.root.append(panel);
  for (const name of ["data", "latent"]) {
    view.panes[name].section.querySelector("header").append(element("h2", "live-part-name"));
  }
  view.parts = { panel, place, title, text, list, marks, button };
  return view.parts;
}

/** Bring the panel and the words around the planes up to date with the part. */
function sayPart(view) {
  const { record, at, plays } = view.slow;
  const { place, title, text, list, marks, button } = partsPanel(view);
  const [part, count] = [record.parts[at], record.parts.length];
  view.root.dataset.part = at + 1;
  view.root.dataset.partPlays = plays;
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
  ["data", "latent"].forEach((name, i) => {
    const { section, box } = view.panes[name];
    section.querySelector(".live-part-name").textContent = `${at + 1} of ${count}: ${part.planes[i]}`;
    box.setAttribute("aria-label", `Part ${at + 1} of ${count}. ${part.alts[i]}`);
  });
}

/** What opens the parts again, as long as the flow stands at this step. */
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

/** Which space a pane shows, whose zoom it has; null where there is nothing to zoom. */
export function spaceInParts({ slow: { at, record } }, name) {
  if (name !== "latent") return name;
  if (at < LOSS || (at === LOSS && record.exact)) return "latent";
  return at === GRADIENT || at === UPDATE ? "data" : null;
}

// Pictures: of a part of a step, as planes draw them.

const partPainters = { data: paneOfPart, latent: secondOfPart };
export const painterOf = (view, name) => (view.slow && partPainters[name]) ?? painters[name];
const made = new WeakMap(); // record -> what is worked out of it once

/** Fields and points of a record in the units of the axes. */
function madeOf(view, space) {
  const { record } = view.slow;
  if (!made.has(record)) {
    const [rows, columns] = record.density.shape;
    const [density, change] = [decode(record.density), decode(record.change)];
    const field = (values) => ({ rows, columns, values });
    const sorted = (values) => Float32Array.from(values).filter(Number.isFinite).sort();
    const before = Float32Array.from(density, (v) => v / space.area);
    const difference = Float32Array.from(change, (v) => v / space.area);
    const sizes = sorted(difference.map(Math.abs));
    made.set(record, {
      before: field(before), change: field(difference), after: field(before.map((v, i) => v + difference[i])),
      top: sorted(before)[Math.floor(0.995 * (sorted(before).length - 1))] || 1,
      most: (sizes.length && quantile(sizes, 0.995)) || 1e-12,
      points: placesOf(decode(record.points), view.scene.axes),
    });
  }
  return made.get(record);
}

function paneOfPart(view, theme) {
  const { record, at } = view.slow;
  const space = dataSpace(view);
  const { before, after, top, points } = madeOf(view, space);
  if (at === LOSS) {
    const { layer, bar } = shaded(points, decode(record.loss), "loss of a point (nats)", theme);
    return spaceOfPart(view, space, [layer], bar, "");
  }
  const layers = densityLayers(view, at < UPDATE ? before : after, space.plane, top, true);
  if (at === GRADIENT) layers.push(...arrowsOf(view, space, "dark"));
  else if (at < UPDATE) layers.push(pointsOfPart(points, theme, "dark"));
  return spaceOfPart(
    view,
    space,
    layers,
    { title: "density per unit area", range: [0, top], palette: DENSITY },
    "dark",
  );
}

function secondOfPart(view, theme) {
  const { record, at, share } = view.slow;
  if (at === CONSTRAINT) return barsOfPart(record, theme);
  if (at === LOSS && !record.exact) return estimatesOfPart(record, theme);
  if (at < GRADIENT) return latentOfPart(view, theme, at === 0 ? 0 : at === FORWARD ? share : 1);
  const space = dataSpace(view);
  const { change, most, points } = madeOf(view, space);
  const ground = {
    kind: "field", name: "change", nodes: change, field: finer(change), window: space.plane, range: [-most, most],
    palette: DIFFERENCE,
  };
  const over = at === GRADIENT ? arrowsOf(view, space, "light") : [gainsOf(record, points)];
  const bar = { title: "after − before, per unit area", range: [-most, most], palette: DIFFERENCE };
  const picture = spaceOfPart(view, space, [ground, ...over], bar, "light");
  const says = (place) => {
    const value = valueAt(ground.field, space.plane, place);
    return Number.isFinite(value) ? `after − before ${shown(value)}` : "";
  };
  return { ...picture, says };
}

function spaceOfPart(view, space, layers, bar, over) {
  const [x, y] = view.zoom.data ?? space.plane;
  return { x: { title: space.titles[0], range: x }, y: { title: space.titles[1], range: y }, ratio: space.ratio, layers,
    bar, over };
}

function pointsOfPart(points, theme, over) {
  const [colour, edge] = over === "dark" ? ["#fff", "rgba(12,12,24,0.8)"] : [theme.ink(0.6), theme.paper];
  return {
    kind: "points",
    name: "batch",
    ...points,
    marker: { size: 5, symbol: "circle", colour, edge: { width: 1, colour: edge } },
  };
}

/** Points whose colour and size say a number. */
function shaded(points, values, title, theme) {
  const finite = Float32Array.from(values).filter(Number.isFinite).sort();
  const [low, high] = finite.length ? [quantile(finite, 0.02), quantile(finite, 0.98)] : [0, 1];
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

/** The points on their way, at a share of it. */
function latentOfPart(view, theme, share) {
  const { record, at } = view.slow;
  const last = record.stages.shape[0] - 1;
  const [here, x, z] = [share * last, 0, last].map((stage) => reachedAt(record, stage));
  const side = Math.min(view.scene.frame_window[1], Math.max(reach(x), reach(z)));
  const [across, up] = view.zoom.latent ?? [[-side, side], [-side, side]];
  const isAtEnd = share === 1;
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

/** Where the points are at a place between two stages. */
function reachedAt({ stages }, at) {
  const ways = { first: 0, count: stages.shape[0], points: decode(stages), lines: new Float32Array(0), linePoints: 1 };
  return placesOf(wayAt(ways, at).points);
}

/** The ways of the first points up to a stage. */
function waysOf(record, end) {
  const [x, y] = [[], []];
  const places = Array.from({ length: Math.floor(end) + 1 }, (_, k) => k);
  if (end > places.at(-1)) places.push(end);
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

/** An arrow to each of the first points, from where it pulls the density: by the exact log det, and by the estimate
 * where there is one. */
function arrowsOf(view, space, over) {
  const { record } = view.slow;
  const { points } = madeOf(view, space);
  const { axes, window: [[x0, x1]] } = view.scene;
  const pulls = ["true_pull", "pull"].map((name) => decode(record[name]));
  const lengths = Float32Array.from({ length: record.pull.shape[0] }, (_, i) =>
    Math.hypot(pulls[0][2 * i], pulls[0][2 * i + 1]),
  )
    .filter(Number.isFinite)
    .sort();
  const unit = (0.1 * (x1 - x0)) / ((lengths.length && quantile(lengths, 0.95)) || 1);
  const look =
    over === "dark" ? { colour: "#fff", halo: "rgba(12,12,24,0.9)" } : { colour: "rgb(35,35,45)", halo: "#fff" };
  const traced = (pull) => {
    const [x, y] = [[], []];
    for (let i = 0; i < Math.min(MOST_ARROWS, points.x.length); i++) {
      const [u, v] = [unit * pull[2 * i], unit * pull[2 * i + 1]];
      const size = Math.min(0.35 * Math.hypot(u, v), 0.02 * (x1 - x0)) / (Math.hypot(u, v) || 1);
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
  const exact = { kind: "line", name: "pull", ...traced(pulls[0]), width: 1.4, ...look };
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

/** Triangles that say whose loss fell or rose. */
function gainsOf(record, points) {
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

/** Each point's estimate against the truth. */
function estimatesOfPart(record, theme) {
  const [x, y] = [decode(record.true_log_det), decode(record.log_det)];
  const both = Float32Array.from([...x, ...y]).filter(Number.isFinite).sort();
  const [low, high] = both.length ? [quantile(both, 0.01), quantile(both, 0.99)] : [0, 1];
  const room = 0.08 * (high - low || 1);
  const range = [low - room, high + room];
  const layers = [
    { kind: "line", name: "equal", x: range, y: range, width: 1.4, dash: [5, 4], colour: theme.ink(0.7) },
    pointsOfPart({ x, y }, theme, ""),
  ];
  return { x: { title: "exact log det (nats)", range }, y: { title: "estimate (nats)", range }, ratio: 1, layers,
    says: ([a, b]) => `exact ${shown(a)}, estimate ${shown(b)}` };
}

/** Norms before and after the cap, of the layers that changed most. */
function barsOfPart({ layers: rows }, theme) {
  const top = Math.max(1, ...rows.flatMap(({ raw, weight, cap }) => [raw, weight, cap]));
  const name = (k) => rows[k]?.name ?? "";
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
  const key = { kind: "key", rows: [[theme.ink(0.32), "before the cap, and what this step added"],
    [theme.dark ? COLOURS.gridDark : AFTER, "after the cap"]] };
  layers.push({ kind: "values", of: changes }, key);
  const range = [-0.6, Math.max(0, rows.length - 1) + 1.3]; // with room for the name of the cap
  const says = ([x]) => {
    const row = rows[Math.round(x)];
    return row ? `layer ${row.name}: ${shown(row.raw)} before the cap, ${shown(row.weight)} after` : "";
  };
  return {
    x: { title: "block.layer", range, ticks: () => rows.map((_, k) => ({ value: k, text: name(k) })) },
    y: { title: "norm of a layer", range: [0, 1.3 * top] }, layers, margin: MARGIN, says,
  };
}

const slowView = () => [...views].find(({ root, slow }) => root.isConnected && slow);

/** Keys of the parts, before those of the page. */
export const PARTS_KEYS = { names: ["←", "→", "Space", "Esc"], does: "a step in its parts: back, next, pause, close" };

function onPartsKey(event) {
  const view = slowView();
  if (!view || event.defaultPrevented || event.isComposing || isChord(event) || isTaken(event)) return;
  const at = event.composedPath()[0];
  const hasArrows = at instanceof Element && at.closest(WITH_ARROWS);
  const act = {
    ArrowRight: () => hasArrows || stepParts(view, 1), ArrowLeft: () => hasArrows || stepParts(view, -1),
    Space: () => holdParts(view), Escape: () => closeParts(view),
  }[event.code];
  if (!act || (hasArrows && event.code.startsWith("Arrow")) || (event.repeat && event.code === "Space")) return;
  act();
  event.preventDefault();
  event.stopImmediatePropagation();
}

export function listenToPartsKeys() {
  once("parts", (signal) => addEventListener("keydown", onPartsKey, { signal, capture: true }));
}
