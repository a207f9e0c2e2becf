// Depth: how far into the flow the second pane looks. Stage 0 is x, stage k is after block k, the last is z. A still
// picture holds all stages, and the browser goes through them; a moving one is drawn by Python at the depth it is asked
// for (the component's state "depth": a number of blocks, or null for z).

const JOURNEY_SECONDS = 4; // from x to z
const GLIDE_SECONDS = 0.25; // to the stage that a hand has chosen

const lastStage = (view) => view.scene.blocks + 1;

/** What a stage is called in a formula: the ends x and z, hidden ones h. */
const letterOf = (view, at) => (at === 0 ? "x" : at === lastStage(view) ? "z" : "h");

const stagesOf = (picture) => picture?.stages && { ...picture.stages, step: picture.step };

/** What the second pane shows of the flow: raw positions, the stage (whole except on the move), and at which step. */
function placeOf(view) {
  const { depth, picture } = view;
  if (!picture) return null;
  const own = picture.depth ?? lastStage(view);
  const travelling = depth.stops.length > 0;
  const stages = travelling ? view.stages : stagesOf(picture);
  const at = isCalm() ? Math.round(depth.at) : depth.at;
  if (!stages || (at === own && !travelling)) {
    const [latent, grid] = [shownRaw(view, "latent"), shownRaw(view, "grid")];
    return { latent, grid, linePoints: picture.grid.shape[1], at: own, step: picture.step };
  }
  const [latent, grid] = [stages.latent, stages.grid].map((packed) => decodeStage(packed, at));
  return { latent, grid, linePoints: stages.grid.shape[2], at, step: stages.step };
}

const stepName = (step) => `step ${step.toLocaleString("en")}`;

function stageName(view, stage) {
  const ends = { x: "Data space, x", z: "Latent space, z" };
  return ends[letterOf(view, stage)] ?? `After block ${stage} of ${view.scene.blocks}`;
}

/** Bring slider, button and titles up to date with the state. */
function showDepth(view) {
  const { root, depth, scene, slider, picture, panes } = view;
  const place = placeOf(view);
  const drawn = Math.round(place?.at ?? lastStage(view));
  const latent = view.shows === "latent";
  const title = stageName(view, drawn);
  root.querySelector("[data-view=latent]").textContent = title;
  root.dataset.depth = letterOf(view, drawn) === "h" ? drawn : letterOf(view, drawn);
  root.dataset.shows = view.shows;
  // A journey while the flow trains goes through an older one.
  panes.latent.caption.textContent = latent && place && place.step !== picture.step ? stepName(place.step) : "";
  slider.max = lastStage(view);
  slider.style.setProperty("--stages", lastStage(view));
  slider.step = depth.journey ? "any" : 1;
  slider.value = depth.journey ? depth.at : depth.wanted ?? lastStage(view);
  slider.disabled = !latent;
  const label = stageName(view, Math.round(slider.value));
  slider.setAttribute("aria-valuetext", label);
  root.querySelector(".live-depth output").textContent = label.toLowerCase();
  const button = root.querySelector(".live-depth button");
  button.disabled = !latent || !view.stages;
  button.setAttribute("aria-pressed", depth.journey);
  slider.title = latent ? "" : "Choose the latent space to go through the blocks";
  button.title = slider.title || (view.stages ? "From x to z and back" : "Pause to play through the blocks");
  const alt = latent && letterOf(view, drawn) !== "z" ? `${title}. ${scene.alt.stage}` : scene.alt[view.shows];
  panes.latent.box.setAttribute("aria-label", alt);
}

/** Go to each of these stages in turn, at so many stages a second. */
function travel(view, stops, rate) {
  Object.assign(view.depth, { stops, rate, time: performance.now(), rest: 0 });
  if (!view.depth.request) view.depth.request = requestAnimationFrame(() => advance(view));
}

/** Drawing gets at most half of the time, so that scenes still arrive on a slow machine. */
function advance(view) {
  const { depth } = view;
  const now = performance.now();
  depth.request = 0;
  if (now >= depth.rest) {
    const most = depth.rate * Math.min((now - depth.time) / 1000, 0.2);
    depth.time = now;
    const gap = depth.stops[0] - depth.at;
    depth.at = Math.abs(gap) <= most ? depth.stops[0] : depth.at + Math.sign(gap) * most;
    if (depth.at === depth.stops[0]) depth.stops.shift();
    if (!depth.stops.length) halt(view);
    paint(view, ["latent"]);
    showDepth(view);
    depth.rest = 2 * performance.now() - now;
  }
  if (depth.stops.length && view.root.isConnected) depth.request = requestAnimationFrame(() => advance(view));
}

/** The end of a journey or a glide: the pane is where the slider is. */
function halt(view) {
  cancelAnimationFrame(view.depth.request);
  Object.assign(view.depth, { stops: [], journey: false, request: 0, at: view.depth.wanted });
}

/** Through the whole flow and back to where it began; pressed again, it stops at the nearest stage. */
function journey(view) {
  const { depth } = view;
  const last = lastStage(view);
  if (depth.journey) {
    if (view.picture.stages) depth.wanted = Math.round(depth.at);
    halt(view);
    paint(view, ["latent"]);
  } else {
    depth.journey = true;
    depth.at = depth.wanted;
    travel(view, depth.at === last ? [0, last] : [last, 0, ...(depth.at ? [depth.at] : [])], last / JOURNEY_SECONDS);
  }
  showDepth(view);
}

/** A hand is at the slider. */
function choose(view) {
  const { depth } = view;
  depth.journey = false;
  depth.wanted = Math.round(view.slider.value);
  rememberView(view);
  if (view.picture?.stages && !isCalm()) {
    travel(view, [depth.wanted], Math.abs(depth.wanted - depth.at) / GLIDE_SECONDS);
  } else {
    halt(view);
    paint(view, ["latent"]);
  }
  showDepth(view);
}

/** Ask for moving pictures at the chosen depth. Where the channel is closed that costs a poll, so it is said only while
 * they are drawn. */
function askForDepth(view) {
  const { depth } = view;
  const wish = depth.wanted === lastStage(view) ? null : depth.wanted;
  if (wish === depth.asked) return;
  depth.asked = wish;
  if (!askByChannel(view, wish)) view.setState("depth", wish);
}

/** The first picture says what Python was asked for before this element was there; the address may name another depth. */
function adoptDepth(view, frame) {
  view.depth.asked = frame.depth;
  view.depth.wanted = view.depth.at = depthInAddress(view) ?? frame.depth ?? lastStage(view);
  if (view.scene.playing) askForDepth(view);
}

/** Another flow may have another number of blocks; z stays z. */
function keepDepth(view, blocksBefore) {
  const { depth } = view;
  halt(view);
  if (depth.wanted > Math.min(blocksBefore, view.scene.blocks)) depth.wanted = lastStage(view);
  depth.at = depth.wanted;
  if (depth.asked > view.scene.blocks) askForDepth(view);
}
