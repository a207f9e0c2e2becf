// The planes: data space with the flow's density, the truth, or their difference; and latent space, or the place on the
// way there. State -> traces and layout.

const CIRCLES = [[1, "39 %"], [2, "86 %"], [3, "98.9 %"]]; // radius, mass of the normal inside: 1 - exp(-r²/2)
const LATENT_SIDE = 4; // latent space is shown from -4 to 4, and a place on the way as far as its points go
const WHILE_TRAVELLING = 2; // between two stages every second point of a grid line is enough
const SHARED = "density per unit area, the same colours in both";
const truths = new Map(); // data set -> its true density, as `live.mount_truth` brought it

const truthOf = (view) => truths.get(view.scene.truth);

/** The data space in the units of its axes: window, titles, and the area of one unit square of the flow. */
function dataSpace({ scene: { axes, window } }) {
  const shown = (side, i) => side.map((value) => axes[i].centre + axes[i].scale * value);
  return {
    plane: window.map(shown),
    titles: axes.map((a) => (a.unit ? `${a.name} (${a.unit})` : a.name)),
    ratio: Math.abs(axes[0].scale / axes[1].scale), // so that the flow's units are equal
    area: axes[0].scale * axes[1].scale,
  };
}

/** A grid over the data space as the part of a trace that places it. */
function placed(z, [[x0, x1], [y0, y1]], visible = true) {
  return { z, x0, dx: (x1 - x0) / (z[0].length - 1), y0, dy: (y1 - y0) / (z.length - 1), visible };
}

function densityTraces(grid, top, colorbar) {
  return [
    {
      type: "heatmap", ...grid, zmin: 0, zmax: top, zsmooth: "fast", colorscale: "Viridis",
      hovertemplate: "density %{z:.2~g}<extra></extra>", colorbar,
    },
    {
      type: "contour", ...grid, showscale: false, hoverinfo: "skip", autocontour: false,
      contours: { coloring: "none", start: 0.1 * top, end: 0.9 * top, size: 0.2 * top },
      line: { width: 0.8, color: "rgba(255,255,255,0.5)", smoothing: 0.8 },
    },
  ];
}

function dataTrace(view, theme, space, visible, over) {
  const points = pointsOf(decode(view.scene.points), space.plane);
  return markersOf(points, dataMarker(view, theme, { size: 4.5, over }), visible);
}

function spaceLayout(view, theme, space, pane) {
  const ranges = view.zoom.data ?? space.plane;
  return layoutOf(pane, theme, squareAxes(theme, space.titles, ranges, space.ratio));
}

function paneData(view, theme) {
  const { picture, panes: { data: pane }, layers: { data: on } } = view;
  const space = dataSpace(view);
  const shared = view.shows === "truth" && truthOf(view);
  const traces = [];
  if (picture) {
    const z = gridOf(picture.density, picture.density_largest / space.area);
    const top = (shared ? shared.shown : view.colourTop) / space.area;
    const bar = colourBar(theme, shared ? SHARED : "density per unit area");
    traces.push(...densityTraces(placed(z, space.plane, on.density), top, bar));
  }
  traces.push(dataTrace(view, theme, space, on.data, picture && on.density));
  if (view.samples) {
    traces.push(markersOf(pointsOf(decode(view.samples), space.plane), {
      size: 5.5, symbol: "diamond", color: COLOURS.samples, opacity: 0.9,
      line: { width: 0.6, color: "rgba(12,12,24,0.7)" },
    }, on.samples));
  }
  return [traces, spaceLayout(view, theme, space, pane)];
}

function paneTruth(view, theme) {
  const { panes: { latent: pane }, layers: { latent: on } } = view;
  const [space, truth] = [dataSpace(view), truthOf(view)];
  const traces = [];
  if (truth) {
    const finest = truth.grids[Math.max(...Object.keys(truth.grids))];
    const grid = placed(gridOf(finest, truth.largest / space.area), space.plane);
    traces.push(...densityTraces(grid, truth.shown / space.area, colourBar(theme, SHARED)));
  }
  traces.push(dataTrace(view, theme, space, on.data, true));
  return [traces, spaceLayout(view, theme, space, pane)];
}

function paneDifference(view, theme) {
  const { picture, panes: { latent: pane }, layers: { latent: on } } = view;
  const space = dataSpace(view);
  const truth = truthOf(view)?.grids[picture?.density.shape[0]];
  const traces = [];
  if (truth) {
    const z = gridOf(picture.density, picture.density_largest / space.area);
    gridOf(truth, truthOf(view).largest / space.area).forEach((row, r) => row.forEach((p, c) => { z[r][c] -= p; }));
    const top = truthOf(view).shown / space.area;
    traces.push({
      type: "heatmap", ...placed(z, space.plane), zmin: -top, zmax: top, zsmooth: "fast",
      colorscale: DIFFERENCE.map((colour, i) => [i / (DIFFERENCE.length - 1), colour]),
      colorbar: colourBar(theme, "model − truth, per unit area"),
      hovertemplate: "model − truth %{z:+.2~g}<extra></extra>",
    });
  }
  traces.push(dataTrace(view, theme, space, on.data, true));
  return [traces, spaceLayout(view, theme, space, pane)];
}

/** Half the side of a square around 0 that shows nearly all points, and at least latent space. */
function reach({ x, y }) {
  const sizes = Float64Array.from(x, (value, i) => Math.max(Math.abs(value), Math.abs(y[i]))).filter(Number.isFinite);
  const most = sizes.sort()[Math.floor(0.99 * (sizes.length - 1))] ?? 0;
  return Math.max(LATENT_SIDE, 1.1 * most);
}

function paneLatent(view, theme) {
  const { scene, layers: { latent: on }, panes: { latent: pane } } = view;
  const plane = [scene.frame_window, scene.frame_window];
  const place = placeOf(view);
  const points = place && pointsOf(place.latent, plane);
  const side = place ? reach(points) : LATENT_SIDE;
  const traces = [];
  if (place) {
    const every = Number.isInteger(place.at) ? 1 : WHILE_TRAVELLING;
    traces.push({
      type: "scatter", mode: "lines", ...linesOf(place.grid, place.linePoints, plane, every), connectgaps: false,
      line: { width: 0.9, color: theme.grid }, opacity: 0.6, visible: on.grid, hoverinfo: "skip",
    });
    traces.push(markersOf(points, dataMarker(view, theme, { size: 4, over: false }), on.data));
  }
  const letter = letterOf(view, place?.at ?? lastStage(view));
  const titles = [`${letter}₁`, `${letter}₂`];
  const layout = layoutOf(pane, theme, squareAxes(theme, titles, view.zoom.latent ?? [[-side, side], [-side, side]]));
  const visible = on.circles && letter === "z"; // what they say is true of z alone
  layout.shapes = CIRCLES.map(([r]) => ({
    type: "circle", x0: -r, x1: r, y0: -r, y1: r, layer: "above", visible,
    line: { width: 1.2, color: theme.ink(0.6), dash: "4px,3px" },
  }));
  layout.annotations = CIRCLES.map(([r, text]) => ({
    x: 0, y: r, text, showarrow: false, visible, bgcolor: theme.paper, borderpad: 1, opacity: 0.85,
    font: { size: 11, color: theme.ink(0.9) },
  }));
  return [traces, layout];
}

const secondPanes = { latent: paneLatent, truth: paneTruth, difference: paneDifference };
const paneSecond = (view, theme) => secondPanes[view.shows](view, theme);
