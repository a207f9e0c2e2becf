// Three live panes and their clock. The default export at the end is called with every scene; it must stay synchronous
// and only queue: Streamlit runs the clean-up of a call that a newer one has overtaken, even while the picture stands.

const QUEUE_LIMIT = 14;
const MARGIN = { l: 46, r: 12, t: 10, b: 42, autoexpand: false }; // a long tick label must not move the plot
const BAR = 58; // room for the colour bar; the same as --bar in plot.css
const COLUMNS = [[1300, 3], [640, 2], [0, 1]]; // content width in px from which that many columns fit
const CIRCLES = [[1, "39 %"], [2, "86 %"], [3, "98.9 %"]]; // radius, mass of the normal inside: 1 - exp(-r²/2)
const EASE = 0.2; // share of the way the colour range goes to its target with each frame
const COLOURS = { samples: "#E69F00", held: "#D55E00", gridLight: "#0072B2", gridDark: "#56B4E9" }; // Okabe and Ito
const CONFIG = { displayModeBar: false, scrollZoom: true, doubleClick: false, showTips: false };
const views = new WeakMap();

// --- decoding ------------------------------------------------------------------------------------------------------

function decode(packed) {
  const bytes = Uint8Array.from(atob(packed.base64), (c) => c.charCodeAt(0));
  return packed.dtype === "uint16" ? new Uint16Array(bytes.buffer) : bytes;
}

/** Interleaved u16 pairs over a window -> {x, y}; NaN (a gap) where clipped, which means outside the window. */
function decodePoints(packed, [[x0, x1], [y0, y1]]) {
  const raw = decode(packed);
  const x = new Float64Array(raw.length / 2).fill(NaN);
  const y = x.slice();
  for (let i = 0; i < x.length; i++) {
    const [u, v] = [raw[2 * i], raw[2 * i + 1]];
    if (Math.min(u, v) === 0 || Math.max(u, v) === 65535) continue;
    x[i] = x0 + ((x1 - x0) * u) / 65535;
    y[i] = y0 + ((y1 - y0) * v) / 65535;
  }
  return { x, y };
}

/** The grid's lines as one polyline, a gap after each. */
function decodeLines(packed, plane) {
  const { x, y } = decodePoints(packed, plane);
  const points = packed.shape[1];
  const lines = { x: [], y: [] };
  for (let i = 0; i < x.length; i += points) {
    lines.x.push(...x.subarray(i, i + points), NaN);
    lines.y.push(...y.subarray(i, i + points), NaN);
  }
  return lines;
}

function decodeDensity(packed, top) {
  const raw = decode(packed);
  const [rows, columns] = packed.shape;
  return Array.from({ length: rows }, (_, r) =>
    Float64Array.from(raw.subarray(r * columns, (r + 1) * columns), (v) => (v / 255) * top));
}

// --- theme ---------------------------------------------------------------------------------------------------------

/** [r, g, b] of any CSS colour without transparency. */
function rgb(colour) {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = colour;
  return [1, 3, 5].map((i) => parseInt(context.fillStyle.slice(i, i + 2), 16));
}

function readTheme(root) {
  const style = getComputedStyle(root);
  const text = rgb(style.getPropertyValue("--st-text-color").trim());
  const paper = rgb(style.getPropertyValue("--st-background-color").trim());
  const dark = paper[0] + paper[1] + paper[2] < 384;
  const ink = (alpha) => `rgba(${text.join()},${alpha})`;
  const grid = dark ? COLOURS.gridDark : COLOURS.gridLight;
  return { ink, grid, paper: `rgb(${paper.join()})`, font: style.fontFamily };
}

// --- panes: state -> traces and layout -----------------------------------------------------------------------------

function axis(theme, title, range) {
  return {
    title: { text: title, standoff: 6, font: { size: 12, color: theme.ink(0.8) } },
    range: [...range], // Plotly writes a zoom into the array it is given
    showgrid: false, zeroline: false, nticks: 6, ticks: "outside", ticklen: 4,
    tickcolor: theme.ink(0.3), tickfont: { size: 11, color: theme.ink(0.65) },
    showline: true, mirror: true, linecolor: theme.ink(0.2), linewidth: 1,
  };
}

function baseLayout(pane, theme, xaxis, yaxis) {
  return {
    width: pane.box.clientWidth, height: pane.box.clientHeight, margin: MARGIN, xaxis, yaxis,
    font: { family: theme.font, size: 12, color: theme.ink(0.8) },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { font: { family: theme.font, size: 12 } },
    showlegend: false, uirevision: pane.revision,
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "pan", // a finger must be able to scroll the page
  };
}

function markers({ x, y }, marker, visible) {
  return { type: "scatter", mode: "markers", x, y, marker, visible, hoverinfo: "skip" };
}

function paneData(view, theme) {
  const { scene, picture, layers: { data: on } } = view;
  const shown = scene.axes.map((a) => (value) => a.centre + a.scale * value);
  const plane = scene.window.map((side, i) => side.map(shown[i]));
  const [[x0, x1], [y0, y1]] = plane;
  const area = scene.axes[0].scale * scene.axes[1].scale; // of one unit square of the flow, in the units of the axes
  const traces = [];
  if (picture) {
    const z = decodeDensity(picture.density, picture.density_top / area);
    const top = view.colourTop / area;
    const grid = { z, x0, dx: (x1 - x0) / (z[0].length - 1), y0, dy: (y1 - y0) / (z.length - 1), visible: on.density };
    traces.push({
      type: "heatmap", ...grid,
      zmin: 0, zmax: top, zsmooth: "fast", colorscale: "Viridis",
      hovertemplate: "density %{z:.2~g}<extra></extra>",
      colorbar: {
        title: { text: "density per unit area", side: "right", font: { size: 11, color: theme.ink(0.65) } },
        thickness: 9, len: 1, x: 1.03, xpad: 0, ypad: 0, outlinewidth: 0, nticks: 5, tickformat: ".2~g",
        ticks: "", tickfont: { size: 11, color: theme.ink(0.65) },
      },
    });
    traces.push({
      type: "contour", ...grid, showscale: false, hoverinfo: "skip", autocontour: false,
      contours: { coloring: "none", start: 0.1 * top, end: 0.9 * top, size: 0.2 * top },
      line: { width: 0.8, color: "rgba(255,255,255,0.5)", smoothing: 0.8 },
    });
  }
  const overDensity = picture && on.density;
  traces.push(markers(decodePoints(scene.points, plane), {
    size: 4.5, color: overDensity ? "rgba(12,12,24,0.6)" : theme.ink(0.5),
    line: { width: overDensity ? 0.7 : 0, color: "rgba(255,255,255,0.55)" },
  }, on.data));
  if (view.samples) {
    traces.push(markers(decodePoints(view.samples, plane), {
      size: 5.5, symbol: "diamond", color: COLOURS.samples, opacity: 0.9,
      line: { width: 0.6, color: "rgba(12,12,24,0.7)" },
    }, on.samples));
  }
  const titles = scene.axes.map((a) => (a.unit ? `${a.name} (${a.unit})` : a.name));
  const scaleratio = Math.abs(scene.axes[0].scale / scene.axes[1].scale); // equal in the flow's units
  const layout = baseLayout(view.panes.data, theme,
    { ...axis(theme, titles[0], [x0, x1]), constrain: "domain" },
    { ...axis(theme, titles[1], [y0, y1]), scaleanchor: "x", scaleratio, constrain: "domain" });
  return [traces, { ...layout, margin: { ...MARGIN, r: MARGIN.r + BAR } }];
}

function paneLatent(view, theme) {
  const { scene, picture, layers: { latent: on } } = view;
  const range = scene.latent_window;
  const traces = [];
  if (picture) {
    traces.push({
      type: "scatter", mode: "lines", ...decodeLines(picture.grid, [range, range]), connectgaps: false,
      line: { width: 0.9, color: theme.grid }, opacity: 0.6, visible: on.grid, hoverinfo: "skip",
    });
    traces.push(markers(decodePoints(picture.latent, [range, range]), { size: 4, color: theme.ink(0.5) }, on.data));
  }
  const layout = baseLayout(view.panes.latent, theme, { ...axis(theme, "z₁", range), constrain: "domain" },
    { ...axis(theme, "z₂", range), scaleanchor: "x", constrain: "domain" });
  layout.shapes = CIRCLES.map(([r]) => ({
    type: "circle", x0: -r, x1: r, y0: -r, y1: r, layer: "above", visible: on.circles,
    line: { width: 1.2, color: theme.ink(0.6), dash: "4px,3px" },
  }));
  layout.annotations = CIRCLES.map(([r, text]) => ({
    x: 0, y: r, text, showarrow: false, visible: on.circles, bgcolor: theme.paper, borderpad: 1, opacity: 0.85,
    font: { size: 11, color: theme.ink(0.9) },
  }));
  return [traces, layout];
}

const quantile = (sorted, q) => sorted[Math.round(q * (sorted.length - 1))];

/** The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten: an axis rests while the curve grows into it. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((m) => m * power >= value);
}

/** Ranges that show the curve: its first 5 % of steps (often huge) and its highest 3 % may leave the pane. */
function lossRanges(loss, floor) {
  const last = loss?.step.at(-1);
  if (!last) return [[0, 100], floor === null ? [0, 5] : [floor - 0.5, floor + 2.5]];
  const late = (steps, values) => values.filter((v, i) => v !== null && steps[i] >= 0.05 * last);
  const values = [...late(loss.step, loss.batch_nll), ...late(loss.held_step, loss.held_nll)].sort((a, b) => a - b);
  if (!values.length) return lossRanges(null, floor);
  const low = Math.min(quantile(values, 0.01), floor ?? Infinity);
  const high = quantile(values, 0.97);
  const tick = roundUp(Math.max(high - low, 0.2) / 8);
  return [[0, roundUp(last)], [Math.floor(low / tick - 0.4) * tick, Math.ceil(high / tick + 0.2) * tick]];
}

function paneLoss(view, theme) {
  const { scene: { loss, floor }, layers: { loss: on }, panes: { loss: pane } } = view;
  // Plotly keeps a reader's zoom only while the ranges it is given stay the same.
  if (!pane.zoomed) pane.ranges = lossRanges(loss, floor);
  const [xRange, yRange] = pane.ranges;
  const traces = [];
  const line = (x, y, style, name, visible) => traces.push({
    type: "scatter", mode: "lines", x, y, line: style, name, visible,
    hovertemplate: `%{y:.3f} nats at step %{x:,}<extra>${name}</extra>`,
  });
  if (loss) {
    line(loss.step, loss.batch_nll, { width: 1, color: theme.ink(0.25) }, "batch", on.batch);
    const edge = (sign) => loss.held_nll.map((v, i) => (v === null ? null : v + sign * 2 * loss.held_se[i]));
    traces.push({
      type: "scatter", mode: "lines", x: [...loss.held_step, ...loss.held_step.toReversed()],
      y: [...edge(1), ...edge(-1).reverse()], fill: "toself", fillcolor: "rgba(213,94,0,0.22)", line: { width: 0 },
      visible: on.held, hoverinfo: "skip",
    });
    line(loss.held_step, loss.held_nll, { width: 2.4, color: COLOURS.held }, "held-out", on.held);
  }
  const layout = baseLayout(pane, theme, axis(theme, "step", xRange), axis(theme, "NLL (nats)", yRange));
  Object.assign(layout.xaxis, { nticks: 5, tickformat: ",d" });
  layout.margin = { ...MARGIN, r: 18 }; // half of the last step's label
  if (floor !== null) {
    layout.shapes = [{
      type: "line", xref: "paper", x0: 0, x1: 1, y0: floor, y1: floor,
      line: { width: 1.2, color: theme.ink(0.7), dash: "4px,3px" },
    }];
    layout.annotations = [{
      xref: "paper", x: 0.985, xanchor: "right", y: floor, yanchor: "top", showarrow: false,
      text: "entropy of the data", font: { size: 11, color: theme.ink(0.75) },
    }];
  }
  return [traces, layout];
}

// --- drawing and the clock -----------------------------------------------------------------------------------------

const painters = { data: paneData, latent: paneLatent, loss: paneLoss };

/** Drawing under a drag or a turn of the wheel would tear it. */
const held = (pane) => pane.box._dragging || performance.now() < pane.wheelUntil;

function paint(view, names) {
  if (!window.Plotly || !view.scene || !view.root.isConnected) return;
  const theme = readTheme(view.root);
  view.root.style.setProperty("--grid", theme.grid);
  for (const name of names) {
    const pane = view.panes[name];
    if (held(pane)) {
      pane.late ??= setTimeout(() => { pane.late = null; paint(view, [name]); }, 100);
      continue;
    }
    const [traces, layout] = painters[name](view, theme);
    window.Plotly.react(pane.box, traces, layout, CONFIG);
    if (!pane.listening) listen(view, name);
  }
}

function show(view, frame) {
  const target = Math.max(frame.density_top, Number.MIN_VALUE);
  const eased = view.picture && view.scene.playing;
  view.colourTop = eased ? view.colourTop * (target / view.colourTop) ** EASE : target;
  view.picture = frame;
  view.samples = frame.samples ?? view.samples;
  view.caption.textContent = `step ${frame.step.toLocaleString("en")}`;
  paint(view, ["data", "latent"]);
  view.root.dataset.step = frame.step;
  view.root.dataset.frames = Number(view.root.dataset.frames) + 1;
}

/** One animation frame of the clock: runs while frames wait, rests otherwise. */
function tick(view) {
  if (!view.queue.length || !view.root.isConnected) {
    view.ticking = false;
    return;
  }
  requestAnimationFrame(() => tick(view));
  const now = performance.now();
  if (now < view.due || Object.values(view.panes).some(held)) return; // linked panes wait for each other
  view.due = Math.max(view.due + view.spacing, now);
  show(view, view.queue.shift());
}

function play(view) {
  if (view.ticking) return;
  view.ticking = true;
  tick(view);
}

function enqueue(view, frames) {
  const newest = frames.at(-1)?.step ?? view.last;
  if (newest < view.chunkStart) view.last = -1; // older than the previous chunk: training resumed from a checkpoint
  view.chunkStart = frames[0]?.step ?? view.chunkStart;
  const fresh = frames.filter((f) => f.step > view.last);
  view.last = Math.max(view.last, newest);
  view.queue.push(...(matchMedia("(prefers-reduced-motion: reduce)").matches ? fresh.slice(-1) : fresh));
  view.queue.splice(0, view.queue.length - QUEUE_LIMIT);
  view.spacing = view.scene.poll_ms / Math.max(1, view.queue.length);
}

/** What must be shown without waiting its turn: a paused flow's sharp picture or last frame, or a first picture. */
function takeUrgent(view) {
  const { playing, still } = view.scene;
  if (playing) return view.picture || view.queue.length ? null : still;
  const newest = still ?? view.queue.at(-1);
  view.queue.length = 0;
  view.last = newest?.step ?? view.last;
  return newest;
}

function receive(view, scene) {
  const newRun = view.scene?.run !== scene.run;
  view.scene = scene;
  if (newRun) startRun(view);
  for (const [name, pane] of Object.entries(view.panes)) pane.box.setAttribute("aria-label", scene.alt[name]);
  enqueue(view, scene.frames);
  ready(view.root).then(() => {
    if (view.scene !== scene) return;
    const urgent = takeUrgent(view);
    if (urgent) show(view, urgent);
    else if (!view.queue.length) paint(view, ["data", "latent"]); // the theme or the data may be new
    paint(view, ["loss"]);
    play(view);
  });
}

function startRun(view) {
  view.queue.length = 0;
  view.last = view.chunkStart = -1;
  view.picture = view.samples = null;
  view.caption.textContent = "";
  view.root.dataset.run = view.scene.run;
  view.root.dataset.step = "";
  Object.values(view.panes).forEach(forgetZoom);
}

// --- the element ---------------------------------------------------------------------------------------------------

/** The library comes by its own component, before or after this one. */
function ready(root) {
  return new Promise((resolve) => {
    const look = () => (window.Plotly ? resolve() : root.isConnected && setTimeout(look, 30));
    look();
  });
}

function forgetZoom(pane) {
  pane.zoomed = false;
  pane.revision += 1;
}

function listen(view, name) {
  const pane = view.panes[name];
  pane.listening = true;
  const turn = () => { pane.wheelUntil = performance.now() + 200; };
  pane.box.addEventListener("wheel", turn, { capture: true, passive: true });
  pane.box.on("plotly_relayout", (change) => {
    if (Object.keys(change).some((key) => key.includes(".range"))) pane.zoomed = true;
  });
  pane.box.on("plotly_doubleclick", () => {
    forgetZoom(pane);
    setTimeout(() => paint(view, [name]));
  });
}

/** Fixed sizes from the width alone, so that no picture ever moves another. */
function fit(view) {
  const { root, panes } = view;
  const width = root.clientWidth;
  if (!width || width === view.width) return;
  view.width = width;
  root.dataset.columns = COLUMNS.find(([from]) => width >= from)[1];
  const box = panes.data.box.clientWidth;
  root.style.setProperty("--plot-height", `${box - MARGIN.l - MARGIN.r - BAR + MARGIN.t + MARGIN.b}px`);
  paint(view, Object.keys(painters));
}

function toggle(view, button) {
  const pane = button.closest("[data-pane]").dataset.pane;
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", on);
  view.layers[pane][button.dataset.layer] = on;
  paint(view, [pane]);
}

function mount(root) {
  const view = { root, scene: null, queue: [], due: 0, spacing: 125, picture: null, panes: {}, layers: {} };
  view.caption = root.querySelector(".live-step");
  for (const section of root.querySelectorAll("[data-pane]")) {
    const name = section.dataset.pane;
    const box = section.querySelector(".live-plot");
    view.panes[name] = { box, revision: 0, zoomed: false, wheelUntil: 0, late: null };
    view.layers[name] = {};
    for (const button of section.querySelectorAll("button")) {
      view.layers[name][button.dataset.layer] = button.getAttribute("aria-pressed") === "true";
      button.addEventListener("click", () => toggle(view, button));
    }
  }
  root.style.setProperty("--samples", COLOURS.samples);
  root.style.setProperty("--held", COLOURS.held);
  view.observer = new ResizeObserver(() => fit(view));
  view.observer.observe(root);
  fit(view);
  return view;
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".live-panes");
  if (!views.has(root)) views.set(root, mount(root));
  const view = views.get(root);
  receive(view, data);
  return () => {
    if (root.isConnected) { // an overtaken call, not the end of the picture
      root.dataset.cleanups = Number(root.dataset.cleanups) + 1;
      return;
    }
    view.observer.disconnect();
    for (const { box } of Object.values(view.panes)) window.Plotly?.purge(box);
  };
}
