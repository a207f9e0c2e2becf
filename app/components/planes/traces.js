// A pane or a chart as Plotly's traces and layout.

const MARGIN = { r: 14, t: 8, b: 42, autoexpand: false }; // a long tick label must not move the plot
const LEFT = { pane: 50, chart: 62 }; // powers of ten are wide
const BAR = 50; // room for a colour bar and its name, below the x axis
const PALETTES = { viridis: VIRIDIS, signed: SIGNED };
const NO_NUMBER = 255;
// In pixels, so that a line and its wider halo have their gaps at the same places.
const DASHES = { solid: "solid", dash: "9px,9px", dot: "3px,3px", dashdot: "9px,3px,3px,3px" };
const LIGHT = { ink: (alpha) => `rgba(49,51,63,${alpha})`, paper: "rgb(255,255,255)" };
const SYMBOLS = ["circle", "square", "diamond", "cross", "triangle-up", "x"]; // of lines with markers

const coloursOf = (name) => PALETTES[name].map((colour, i, all) => [i / (all.length - 1), colour]);

/** Packed (rows, columns) over a window, its nodes at both ends, as the part of a trace that places it. */
function placed(packed, [[x0, x1], [y0, y1]], of = (v) => v) {
  const raw = unpacked(packed);
  const [rows, columns] = packed.shape;
  const z = Array.from({ length: rows }, (_, r) => Array.from(raw.subarray(r * columns, (r + 1) * columns), of));
  return { z, x0, dx: (x1 - x0) / (columns - 1), y0, dy: (y1 - y0) / (rows - 1) };
}

function pairs(packed) {
  const raw = unpacked(packed);
  const coordinate = (k) => Float64Array.from({ length: raw.length / 2 }, (_, i) => raw[2 * i + k]);
  return { x: coordinate(0), y: coordinate(1) };
}

const [COARSE, FINE] = [[1, 2, 5], [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]]; // numbers that read well within a decade

/** Places and names of ticks from 10^low to 10^high. */
function logTicks(low, high) {
  const between = (k) => k >= low - 1e-9 && k <= high + 1e-9;
  const decades = Array.from({ length: Math.ceil(high - low) + 2 }, (_, i) => Math.floor(low) + i);
  const whole = decades.filter(between);
  const every = Math.ceil(whole.length / 5);
  const tickvals = whole.length > 2
    ? whole.filter((k) => k % every === 0)
    : decades.flatMap((k) => (high - low < 1.2 ? FINE : COARSE).map((m) => k + Math.log10(m))).filter(between);
  const named = (k) => (Math.abs(k) > 3 && Number.isInteger(k) ? `10<sup>${k}</sup>`.replace("-", "−") : shown(10 ** k));
  return { tickvals, ticktext: tickvals.map(named) };
}

function heatTrace({ heat, window: plane }, theme, height) {
  const [low, high] = heat.range;
  const value = (level) => low + (level / 254) * (high - low);
  const words = Array.from({ length: 255 }, (_, level) => {
    const sign = level === 254 && heat.cut[1] ? "≥ " : level === 0 && heat.cut[0] ? "≤ " : "";
    return sign + shown(heat.log ? 10 ** value(level) : value(level));
  });
  const { z: level, ...place } = placed(heat.level, plane);
  return {
    type: "heatmap", ...place,
    z: level.map((row) => row.map((l) => (l === NO_NUMBER ? null : value(l)))),
    text: level.map((row) => row.map((l) => words[l] ?? "")),
    zmin: low, zmax: high > low ? high : low + 1, zsmooth: heat.smooth && "fast", hoverongaps: false,
    colorscale: coloursOf(heat.palette), showscale: heat.bar,
    hovertemplate: `${asItIsHovered(heat.name)} %{text} ${asItIsHovered(heat.unit)}<extra></extra>`,
    colorbar: {
      ...colourBar(theme, ""), orientation: "h", x: 0.5, xanchor: "center",
      y: -(MARGIN.b + 6) / height, yanchor: "top", ...(heat.log ? { ...logTicks(low, high), tickmode: "array" } : { tickformat: ",.6~g" }),
    },
  };
}

/** The colour bar's name; Plotly's own moves into the numbers where the plot is large. */
function barName({ heat: { name, unit } }, theme) {
  return {
    text: asItIs(unit ? `${name} (${unit})` : name), showarrow: false, font: { size: 11, color: theme.ink(0.65) },
    xref: "paper", x: 0.5, yref: "paper", y: 0, yanchor: "top", yshift: -(MARGIN.b + 31),
  };
}

/** The colours of marks over a heat map: this palette is pale where nothing happens, on a dark page too. */
function marksOver({ heat }, theme) {
  return heat?.palette === "signed" && theme.dark ? { ...theme, ...LIGHT } : theme;
}

/** Traces in the colours over the heat map, their names in the legend in the page's own. */
function marked(tracesOf, spec, theme) {
  const colours = marksOver(spec, theme);
  const over = tracesOf(spec, colours);
  if (colours === theme) return over;
  const named = tracesOf(spec, theme).filter(({ showlegend }) => showlegend);
  return [
    ...over.map((trace) => ({ ...trace, showlegend: false })),
    ...named.map((trace) => ({ ...trace, x: [null], y: [null] })),
  ];
}

/** A trace over its halo in the page's colour: a line must be seen on every colour of a heat map. */
function withHalo(trace, theme, over, group) {
  const named = { ...trace, legendgroup: group, showlegend: Boolean(trace.name) };
  if (!over) return [named];
  const line = { ...trace.line, color: theme.paper, width: trace.line.width + Math.min(2.4, 2 * trace.line.width) };
  return [{ ...named, mode: "lines", line, opacity: 0.6, showlegend: false, hoverinfo: "skip", hovertemplate: "" }, named];
}

function levelTraces({ levels, window: plane, heat }, theme) {
  return levels.flatMap(({ values, at, label, colour, dash, width }, k) => withHalo({
    type: "contour", ...placed(values, plane), name: asItIs(label), showscale: false, hoverinfo: "skip", autocontour: false,
    contours: { coloring: "none", start: at, end: at, size: 1 },
    line: { width, color: colour ?? theme.ink(0.9), dash: DASHES[dash], smoothing: 0 },
  }, theme, heat, `level ${k}`));
}

/** What stands at a point: its coordinates by their names, and the name of its line. */
function hoverOf(x, y, label) {
  const [a, b, name] = [x, y, label].map(asItIsHovered);
  return `${a} = %{x:.4~g}<br>${b} = %{y:.3~g}<extra>${name}</extra>`;
}

function pathTraces({ paths, x, y, heat }, theme) {
  return paths.flatMap(({ points, label, colour, dash, width, markers }, k) => withHalo({
    type: "scatter", mode: markers ? "lines+markers" : "lines", ...pairs(points), name: asItIs(label), connectgaps: false,
    line: { width, color: colour ?? theme.ink(0.9), dash: DASHES[dash], simplify: false },
    marker: { size: width + 4, symbol: SYMBOLS[k % SYMBOLS.length] },
    hovertemplate: hoverOf(x, y, label),
  }, theme, heat, `path ${k}`));
}

function dotTraces({ dots, x, y }, theme) {
  return dots.map(({ points, label, colour, symbol, size, opacity }, k) => ({
    type: "scatter", mode: "markers", ...pairs(points), name: asItIs(label), showlegend: Boolean(label), opacity,
    legendgroup: `dots ${k}`,
    marker: {
      size, symbol, color: colour ?? theme.ink(0.9),
      line: symbol.includes("open") ? { width: 2 } : { width: 1, color: theme.paper },
    },
    hovertemplate: hoverOf(x, y, label),
  }));
}

/** A ring around the chosen point, dark within light. */
function ringTrace([x, y]) {
  return {
    type: "scatter", mode: "markers", x: [x, x], y: [y, y], showlegend: false, hoverinfo: "skip", cliponaxis: false,
    marker: { symbol: "circle-open", size: 15, line: { width: [4.5, 2] }, color: ["#fff", "#000"] },
  };
}

/** Height of the plot itself for its width; a chart is as high as the squares beside it. */
function plotHeight(spec, width, squares) {
  if (spec.kind === "pane" && spec.square) {
    const [[x0, x1], [y0, y1]] = spec.window;
    return Math.round((width * (y1 - y0)) / (x1 - x0));
  }
  return squares ?? Math.round(Math.max(180, Math.min(300, 0.62 * width)));
}

function axesOf(spec, theme) {
  const linear = { tickformat: ",.6~g" };
  if (spec.kind === "pane") {
    const [x, y] = ["x", "y"].map((name, i) => ({ ...axisOf(theme, spec[name], spec.window[i]), ...linear }));
    if (!spec.square) return { xaxis: x, yaxis: y };
    return { xaxis: { ...x, constrain: "domain" }, yaxis: { ...y, scaleanchor: "x", constrain: "domain" } };
  }
  const axis = (title, log, name) => ({
    ...axisOf(theme, title), type: "linear", ...(log ? logAxis(spec, name, theme) : linear),
    autorange: true, showgrid: true, gridcolor: theme.ink(0.09),
  });
  const x = axis(spec.x, spec.log_x, "x");
  return { xaxis: beginsAtZero(spec) ? { ...x, rangemode: "nonnegative" } : x, yaxis: axis(spec.y, spec.log_y, "y") };
}

/** Whether nothing but x = 0 is known yet, around which Plotly's axis would show as much on either side. */
function beginsAtZero({ paths, log_x }) {
  return !log_x && paths.length > 0 && paths.every(({ points }) => pairs(points).x.every((x) => !x));
}

/** Powers of ten; where fewer than two are in sight, Plotly would write single digits between them. */
function logAxis(spec, name, theme) {
  const power = { type: "log", exponentformat: "power", tickfont: { size: 10, color: theme.ink(0.65) } }; // drawn larger
  const logs = spec.paths.flatMap(({ points }) => Array.from(pairs(points)[name])).filter((v) => v > 0).map(Math.log10);
  const [low, high] = logs.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  if (!(high - low < 2)) return power;
  const { tickvals, ticktext } = logTicks(low - 0.3, high + 0.3);
  return { type: "log", tickmode: "array", tickvals: tickvals.map((k) => 10 ** k), ticktext };
}

/** Room beside the plot. */
const sidesOf = (spec) => LEFT[spec.kind] + MARGIN.r;

/** Room below the plot: its axis, the colour bar, and the legend. */
function bottomOf(spec, legend) {
  return MARGIN.b + (spec.heat?.bar ? BAR : 0) + (legend && legend + 6);
}

/** Traces and layout of what `spec` says, `width` and `height` being those of the plot itself, all in pixels. */
function drawingOf(spec, theme, { width, height, legend, chosen }) {
  const traces = spec.kind === "chart" ? pathTraces(spec, theme) : [
    ...(spec.heat ? [heatTrace(spec, theme, height)] : []),
    ...levelTraces(spec, marksOver(spec, theme)), ...marked(pathTraces, spec, theme), ...marked(dotTraces, spec, theme),
    ...(chosen ? [ringTrace(chosen)] : []),
  ];
  const bottom = bottomOf(spec, legend);
  const [x, y] = spec.window ?? [];
  const layout = {
    ...axesOf(spec, theme), width: width + sidesOf(spec), height: height + MARGIN.t + bottom,
    margin: { ...MARGIN, l: LEFT[spec.kind], b: bottom }, font: { family: theme.font, size: 12, color: theme.ink(0.8) },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hoverlabel: { font: { family: theme.font, size: 12 } },
    hovermode: "closest", dragmode: dragMode(), uirevision: JSON.stringify([spec.kind, spec.window, spec.log_x, spec.log_y]),
    showlegend: spec.legend && traces.some((trace) => trace.showlegend),
    legend: {
      orientation: "h", x: 0, xanchor: "left", y: -bottomOf(spec, 0) / height, yanchor: "top", maxheight: 1000,
      bgcolor: "rgba(0,0,0,0)", font: { size: 12, color: theme.ink(0.8) }, tracegroupgap: 0,
    },
    annotations: spec.heat?.bar ? [barName(spec, theme)] : [],
    // Beneath the heat map, and so wherever it has no number.
    shapes: spec.heat ? [{
      type: "rect", x0: x[0], x1: x[1], y0: y[0], y1: y[1], layer: "below", line: { width: 0 }, fillcolor: `rgb(${GREY})`,
    }] : [],
  };
  return [traces, layout];
}
