// The chosen point of a clickable pane: by a click, or by arrow keys; reported as the state "clicked".

const CLICK = 4; // pixels that a click may move
const TWICE = 300; // milliseconds within which a second click is a double click, which resets the zoom
const STEPS = 40; // arrow keys move by this part of the window
const WAIT = 250; // milliseconds without another arrow key before the page is told
const MOVES = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** The place in the plane of a pointer over a pane's plot, or null beside it. */
function placeOf(box, event) {
  const { xaxis, yaxis } = box._fullLayout;
  const { left, top } = box.getBoundingClientRect();
  const [p, q] = [event.clientX - left - xaxis._offset, event.clientY - top - yaxis._offset];
  const inside = p >= 0 && p <= xaxis._length && q >= 0 && q <= yaxis._length;
  return inside ? [xaxis.p2d(p), yaxis.p2d(q)] : null;
}

function choose(view, pane, point, wait = 0) {
  const k = view.panes.indexOf(pane);
  pane.chosen = point;
  view.told.textContent = `${pane.spec.x} = ${shown(point[0])}, ${pane.spec.y} = ${shown(point[1])}`;
  refresh(view);
  clearTimeout(view.timer);
  view.timer = setTimeout(() => {
    view.timer = null;
    view.setState("clicked", [k, ...point]);
  }, wait);
}

function press(view, pane, event) {
  const move = MOVES[event.key];
  if (!move || !pane.spec.clickable || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const plane = pane.spec.window;
  const from = pane.chosen ?? plane.map(([low, high]) => (low + high) / 2);
  const to = plane.map(([low, high], i) => Math.max(low, Math.min(high, from[i] + (move[i] * (high - low)) / STEPS)));
  choose(view, pane, to, WAIT);
}

function listenToBox(view, pane) {
  const { box } = pane;
  box.addEventListener("wheel", () => { pane.wheelUntil = performance.now() + 200; }, { capture: true, passive: true });
  box.addEventListener("keydown", (event) => press(view, pane, event));
  box.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && pane.spec.clickable) view.start = { pane, x: event.clientX, y: event.clientY };
  }, { capture: true });
}

/** Plotly covers the page while a button is down, so that the end of a click is known to the window alone. */
function listenToWindow(view) {
  const { signal } = view.gone;
  window.addEventListener("pointercancel", () => { view.start = null; }, { signal });
  window.addEventListener("pointerup", (event) => {
    const { start } = view;
    view.start = null;
    if (!start || !start.pane.box._fullLayout) return;
    if (Math.hypot(event.clientX - start.x, event.clientY - start.y) >= CLICK) return;
    const again = event.timeStamp - view.clickedAt < TWICE;
    view.clickedAt = event.timeStamp;
    const point = placeOf(start.pane.box, event);
    if (!point || again) return;
    start.pane.box.focus({ preventScroll: true });
    setTimeout(() => choose(view, start.pane, point)); // Plotly itself still takes this for a drag
  }, { signal });
}
