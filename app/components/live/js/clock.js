// The clock: scenes come once a second, their frames are shown one by one in between.

const QUEUE_LIMIT = 14;
const EASE = 0.2; // share of the way the colour range goes to its target with each frame
const painters = { data: paneData, latent: paneSecond, loss: paneLoss };

/** Drawing under a drag or a turn of the wheel would tear it. */
const held = (pane) => pane.box._dragging || performance.now() < pane.wheelUntil;

function paint(view, names) {
  if (!view.scene || !view.width || !view.root.isConnected) return;
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

/** All that may follow from a new scene, another view or a truth that has come; the panes apart. */
function showWords(view) {
  showChoices(view);
  showReadouts(view);
  showClasses(view, readTheme(view.root));
  showDepth(view);
}

function show(view, frame) {
  const target = Math.max(frame.density_top, Number.MIN_VALUE);
  const eased = view.picture && view.scene.playing;
  view.colourTop = eased ? view.colourTop * (target / view.colourTop) ** EASE : target;
  if (view.depth.wanted === null) adoptDepth(view, frame);
  view.picture = frame;
  view.stages = stagesOf(frame) ?? view.stages;
  view.samples = frame.samples ?? view.samples;
  view.panes.data.caption.textContent = stepName(frame.step);
  paint(view, view.depth.stops.length ? ["data"] : ["data", "latent"]); // a journey draws by itself
  showDepth(view);
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
  const fresh = frames.filter((f) => f.step > view.last);
  view.last = Math.max(view.last, newest);
  view.queue.push(...(isCalm() ? fresh.slice(-1) : fresh));
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
  const before = view.scene;
  view.scene = scene;
  if (before?.run !== scene.run) startRun(view, before);
  for (const name of ["data", "loss"]) view.panes[name].box.setAttribute("aria-label", scene.alt[name]);
  enqueue(view, scene.frames);
  const urgent = takeUrgent(view);
  if (urgent) show(view, urgent);
  else if (!view.queue.length) paint(view, ["data", "latent"]); // the theme or the data may be new
  paint(view, ["loss"]);
  if (scene.playing) askForDepth(view);
  showWords(view);
  play(view);
}

function startRun(view, before) {
  view.queue.length = 0;
  view.last = -1;
  view.picture = view.samples = view.stages = null;
  for (const { caption } of Object.values(view.panes)) if (caption) caption.textContent = "";
  view.root.dataset.run = view.scene.run;
  view.root.dataset.step = "";
  view.zoom = {};
  if (before) keepDepth(view, before.blocks);
  if (!view.scene.truth) view.shows = "latent";
}
