// What all panes look like: colours, axes, margins. Colours are Okabe and Ito's, viridis for densities, and blue to
// orange for a sign.

const MARGIN = { l: 46, r: 12, t: 10, b: 42, autoexpand: false }; // a long tick label must not move the plot
const BAR = 58; // room for a colour bar; the same as --bar in panes.css
const COLOURS = { samples: "#E69F00", held: "#D55E00", gridLight: "#0072B2", gridDark: "#56B4E9" };
const DIFFERENCE = SIGNED.with(3, "#f7f6f2"); // nearly white where model and truth agree
// Classes: colour, marker and the character that shows it in the legend. The first colour is the theme's ink.
const CLASSES = [
  [null, "circle", "●"], ["#D55E00", "square", "■"], ["#56B4E9", "triangle-up", "▲"], ["#CC79A7", "cross", "✚"],
  ["#0072B2", "x", "✖\ufe0e"], ["#F0E442", "triangle-down", "▼"], ["#009E73", "star", "★"],
  ["#E69F00", "circle-open", "○"],
];

function readTheme(root) {
  const theme = pageTheme(root);
  return { ...theme, grid: theme.dark ? COLOURS.gridDark : COLOURS.gridLight };
}

/** Two axes of one scale: the second keeps `ratio` pixels of the first's unit for each of its own. */
function squareAxes(theme, titles, [x, y], ratio = 1) {
  return [
    { ...axisOf(theme, titles[0], x), constrain: "domain" },
    { ...axisOf(theme, titles[1], y), scaleanchor: "x", scaleratio: ratio, constrain: "domain" },
  ];
}

function layoutOf(pane, theme, [xaxis, yaxis]) {
  return {
    width: pane.box.clientWidth, height: pane.box.clientHeight, margin: { ...MARGIN, r: MARGIN.r + BAR }, xaxis, yaxis,
    font: { family: theme.font, size: 12, color: theme.ink(0.8) },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { font: { family: theme.font, size: 12 } },
    showlegend: false,
    dragmode: dragMode(),
  };
}

function markersOf({ x, y }, marker, visible) {
  return { type: "scatter", mode: "markers", x, y, marker, visible, hoverinfo: "skip" };
}

/** The data's markers: dark and translucent, or a colour and a symbol for each class. */
function dataMarker(view, theme, { size, over }) {
  const { labels } = view.scene;
  if (labels) {
    const index = Array.from(decode(labels.index));
    return {
      size: size + 2,
      color: index.map((i) => CLASSES[i][0] ?? theme.ink(1)),
      symbol: index.map((i) => CLASSES[i][1]),
      line: { width: index.map((i) => (CLASSES[i][1].endsWith("open") ? 2 : 0.6)), color: theme.paper },
    };
  }
  return {
    size, color: over ? "rgba(12,12,24,0.6)" : theme.ink(0.5),
    line: { width: over ? 0.7 : 0, color: "rgba(255,255,255,0.55)" },
  };
}
