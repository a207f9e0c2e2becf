// The element: its panes, their size, and which of them must be drawn anew.

const CONFIG = { displayModeBar: false, scrollZoom: true, doubleClick: "reset", showTips: false };
const GAP = 20; // the same as in planes.css
const LARGEST = 540; // side of a plot in pixels, however wide the page
const KEYS = "Arrow keys move the chosen point by a fortieth of the window.";

/** How many panes stand side by side on a page of this width, so many being wanted. */
function columnsOf(width, wanted) {
  const least = width < 700 ? 300 : 190;
  return Math.max(1, Math.min(wanted, Math.floor((width + GAP) / (least + GAP))));
}

function part(tag, name) {
  return Object.assign(document.createElement(tag), { className: name });
}

function addPane(view) {
  const pane = {
    figure: part("figure", ""), title: part("figcaption", ""), note: part("p", "planes-note"),
    box: part("div", "planes-plot"), spec: null, text: "", drawn: "", legend: 0, chosen: null, wheelUntil: 0, late: null,
  };
  pane.figure.append(pane.title, pane.note, pane.box);
  view.root.insertBefore(pane.figure, view.told);
  view.panes.push(pane);
  listenToBox(view, pane);
}

function removePane(view) {
  const { figure, box, late } = view.panes.pop();
  clearTimeout(late);
  window.Plotly?.purge(box);
  figure.remove();
}

function mount(root) {
  const view = { root, panes: [], told: part("p", "planes-told"), columns: 1, timer: null, waiting: null, start: null,
    clickedAt: -Infinity, gone: new AbortController() };
  view.told.setAttribute("aria-live", "polite");
  root.append(view.told);
  root.dataset.drawn = 0;
  listenToWindow(view);
  view.observer = new ResizeObserver(() => refresh(view));
  view.observer.observe(root);
  return view;
}

function unmount(view) {
  view.gone.abort();
  view.observer.disconnect();
  clearTimeout(view.waiting);
  while (view.panes.length) removePane(view);
  view.root.replaceChildren();
  view.root.planes = null; // should it ever come back
}

/** Words and roles; the same ones again are not written, or a screen reader would read them again. */
function describe(pane) {
  const { spec, title, note, box } = pane;
  const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  set(title, spec.title);
  set(note, spec.note);
  box.setAttribute("role", spec.clickable ? "application" : "img");
  box.setAttribute("aria-label", spec.alt);
  if (spec.clickable) {
    box.tabIndex = 0;
    box.setAttribute("aria-description", KEYS);
  } else {
    box.removeAttribute("tabindex");
    box.removeAttribute("aria-description");
  }
}

function receive(view, { columns, panes: specs }) {
  view.columns = columns;
  while (view.panes.length > specs.length) removePane(view);
  while (view.panes.length < specs.length) addPane(view);
  specs.forEach((spec, k) => {
    const pane = view.panes[k];
    const text = JSON.stringify(spec);
    if (text === pane.text) return;
    const before = pane.spec;
    Object.assign(pane, { spec, text });
    const moved = JSON.stringify(spec.point) !== JSON.stringify(before?.point) || !before?.clickable;
    if (!spec.clickable) pane.chosen = spec.point;
    else if (spec.point && moved && !view.timer) pane.chosen = spec.point; // not under a hand on the keys
    describe(pane);
  });
  refresh(view);
}

/** Draw what has changed: in itself, the page's colours or its width. */
function refresh(view) {
  const width = view.root.clientWidth;
  if (!width || !view.panes.length) return;
  if (!window.Plotly) {
    view.waiting ??= setTimeout(() => { view.waiting = null; refresh(view); }, 50);
    return;
  }
  const columns = columnsOf(width, view.columns);
  view.root.style.setProperty("--columns", columns);
  view.root.dataset.columns = columns;
  const room = Math.floor((width - GAP * (columns - 1)) / columns);
  const theme = pageTheme(view.root);
  const square = columns > 1 && view.panes.map(({ spec }) => spec).find(({ kind, square }) => kind === "pane" && square);
  const widthOf = (spec) => Math.min(room - sidesOf(spec), columns === 1 && spec.kind === "chart" ? Infinity : LARGEST);
  const squares = square ? plotHeight(square, widthOf(square)) : undefined;
  for (const pane of view.panes) {
    const plot = widthOf(pane.spec);
    const size = { width: plot, height: plotHeight(pane.spec, plot, squares) };
    const wanted = [theme.ink(1), theme.paper, theme.font, size.width, size.height, pane.chosen, pane.text].join();
    if (wanted !== pane.drawn) draw(view, pane, theme, size, wanted);
  }
}

/** Drawing under a drag or a turn of the wheel would tear it. */
const held = (pane) => pane.box._dragging || performance.now() < pane.wheelUntil;

function draw(view, pane, theme, size, wanted) {
  if (held(pane)) {
    pane.late ??= setTimeout(() => { pane.late = null; refresh(view); }, 100);
    return;
  }
  const react = () => {
    const drawing = drawingOf(pane.spec, theme, { ...size, legend: pane.legend, chosen: pane.chosen });
    window.Plotly.react(pane.box, ...drawing, CONFIG);
  };
  react();
  const legend = pane.box._fullLayout.showlegend ? Math.ceil(pane.box._fullLayout.legend._height) : 0;
  if (legend !== pane.legend) { // only drawing tells how many rows it takes
    pane.legend = legend;
    react();
  }
  pane.drawn = wanted;
  view.root.dataset.drawn = Number(view.root.dataset.drawn) + 1;
}

// Synchronous: Streamlit runs the clean-up of a call that a newer one has overtaken, even while the panes stand.
export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".planes");
  root.planes ??= mount(root);
  root.planes.setState = setStateValue;
  receive(root.planes, data);
  return () => {
    if (!root.isConnected) unmount(root.planes);
  };
}
