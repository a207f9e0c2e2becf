// Points and a grid on their way through a flow and back, over and over: z, its blocks from the last to the first, x.

const TRAVEL = 7; // seconds from one end to the other
const HOLD = 1.8; // seconds at an end
const LOOP = 2 * (TRAVEL + HOLD);
const PULSE = 0.6; // how much of each block's time is eased: 0 goes on evenly, 1 stops after every block
const STREAK = 0.45; // of a block: what a moving point draws behind it
const DOT = 1.9; // css pixels
const FADE = 22;
const TRACK = { side: 10, bottom: 8 };
const ICONS = { pause: "M4 2h3v12H4zM9 2h3v12H9z", play: "M4 2l10 6-10 6z" };
const journeys = new WeakMap();

const smooth = (t) => t * t * (3 - 2 * t);
const mix = (a, b, t) => a + (b - a) * t;

function decode(scene) {
  const positions = (packed) => Float32Array.from(unpacked(packed), (v) => (v / 32767.5 - 1) * scene.most);
  const [stages, lines, linePoints] = scene.lines.shape;
  return { ...scene, last: stages - 1, linePoints, points: positions(scene.points), lines: positions(scene.lines) };
}

/** Where the loop is at `time`: the stage, 0 at x, and which way it goes; at an end from its middle on the way to come. */
function placeOf({ last }, time) {
  const half = LOOP / 2;
  const back = time >= half; // from x to z
  const since = time - (back ? half : 0);
  const whole = last * smooth(Math.min(1, Math.max(0, (since - HOLD / 2) / TRAVEL)));
  const block = Math.min(last - 1, Math.floor(whole));
  const done = block + mix(whole - block, smooth(whole - block), PULSE);
  return { at: back ? done : last - done, toward: back ? "z" : "x" };
}

/** The positions at a place between two stages, on straight ways from the one to the other: x + t g(x) never folds.
 * Lines of so many points have a gap after each. */
function positionsAt(all, last, at, linePoints = Infinity) {
  const size = all.length / (last + 1);
  const stage = Math.min(last - 1, Math.floor(at));
  const [from, t] = [stage * size, at - stage];
  const found = { x: [], y: [] };
  for (let i = 0; i < size; i += 2) {
    found.x.push(mix(all[from + i], all[from + size + i], t));
    found.y.push(mix(all[from + i + 1], all[from + size + i + 1], t));
    if ((i / 2 + 1) % linePoints === 0) {
      found.x.push(NaN);
      found.y.push(NaN);
    }
  }
  return found;
}

/** From the flow's units to pixels at a place. */
function viewOf({ centre, half, last }, at, [width, height]) {
  const stage = Math.min(last - 1, Math.floor(at));
  const t = at - stage;
  const [cx, cy] = [0, 1].map((i) => mix(centre[stage][i], centre[stage + 1][i], t));
  const scale = Math.min(width, height) / 2 / mix(half[stage], half[stage + 1], t);
  return {
    left: 0, top: 0, width, height, x: (v) => width / 2 + (v - cx) * scale, y: (v) => height / 2 - (v - cy) * scale,
  };
}

/** From where the points were on the screen to where they are, so that a change of the view leaves no streaks. */
function streaks(points, view, before, viewBefore) {
  const way = (axis) =>
    points[axis].flatMap((value, i) => [viewBefore[axis](before[axis][i]), view[axis](value), NaN]);
  return { x: way("x"), y: way("y") };
}

/** Let what leaves the picture fade at its borders; nothing is left beyond `room`. */
function fade(pen, room, [width, height]) {
  pen.globalCompositeOperation = "destination-out";
  pen.fillRect(0, room[1], width, height - room[1]);
  const ways = [[0, 0, FADE, 0], [width, 0, width - FADE, 0], [0, 0, 0, FADE], [0, room[1], 0, room[1] - FADE]];
  for (const way of ways) {
    pen.fillStyle = pen.createLinearGradient(...way);
    pen.fillStyle.addColorStop(0, "black");
    pen.fillStyle.addColorStop(1, "transparent");
    pen.fillRect(0, 0, ...room);
  }
  pen.globalCompositeOperation = "source-over";
}

/** How far it is: a tick for every stage between z on the left and x on the right. */
function drawTrack(pen, theme, [width, height], { last }, at) {
  const y = height - TRACK.bottom;
  const place = (stage) => mix(width - TRACK.side - 4, TRACK.side + 4, stage / last);
  pen.fillStyle = theme.ink(0.75);
  pen.font = `italic 600 13px ${theme.font}`;
  pen.textBaseline = "middle";
  pen.textAlign = "left";
  pen.fillText("z", 0, y - 1);
  pen.textAlign = "right";
  pen.fillText("x", width, y - 1);
  pen.fillStyle = theme.ink(0.28);
  for (let stage = 0; stage <= last; stage++) pen.fillRect(place(stage) - 0.5, y - 3, 1, 6);
  pen.fillStyle = theme.points;
  pen.beginPath();
  pen.arc(place(at), y, 4.5, 0, 2 * Math.PI);
  pen.fill();
}

function draw(journey) {
  const { root, canvas, scene, time } = journey;
  if (!canvas.clientWidth) return;
  const page = pageTheme(root);
  const theme = { ...page, points: "#E69F00", grid: page.dark ? "#56B4E9" : "#0072B2" };
  const { at, toward } = placeOf(scene, time);
  const size = [canvas.clientWidth, canvas.clientHeight];
  const [room, dense] = [[size[0], size[1] - 2 * TRACK.bottom], window.devicePixelRatio || 1];
  const pen = penOf(canvas, ...size, dense);
  const view = viewOf(scene, at, room);
  const lines = positionsAt(scene.lines, scene.last, at, scene.linePoints);
  LAYERS.line(pen, { ...lines, colour: theme.grid, width: 0.9, opacity: theme.dark ? 0.42 : 0.36 }, view);
  const points = positionsAt(scene.points, scene.last, at);
  const back = Math.min(scene.last, Math.max(0, at + (toward === "x" ? STREAK : -STREAK)));
  if (journey.moving && back !== at) {
    const way = streaks(points, view, positionsAt(scene.points, scene.last, back), viewOf(scene, back, room));
    LAYERS.line(pen, { ...way, colour: theme.points, width: 1.4, opacity: 0.3 }, { x: (v) => v, y: (v) => v });
  }
  const marker = { size: 2 * DOT, symbol: "circle", colour: theme.points };
  LAYERS.points(pen, { ...points, marker, opacity: 0.9 }, view, theme, { dense });
  fade(pen, room, size);
  drawTrack(pen, theme, size, scene, at);
  say(journey, at, toward);
}

function say({ caption, scene }, at, toward) {
  const stage = Math.round(at);
  const names = { 0: "a checkerboard, x", [scene.last]: "a standard normal, z" };
  caption.querySelector("strong").textContent = toward === "x" ? "z → x: sampling" : "x → z: density";
  caption.querySelector("span").textContent =
    names[stage] ?? `${toward === "x" ? "before" : "after"} block ${stage} of ${scene.blocks}`;
}

/** One frame; drawing gets at most half of the time, so that a slow machine stays at hand. */
function advance(journey) {
  journey.request = 0;
  if (!mayMove(journey)) return;
  const now = performance.now();
  if (now >= journey.rest) {
    journey.time = (journey.time + Math.min(0.1, (now - journey.seen) / 1000)) % LOOP;
    journey.seen = now;
    draw(journey);
    journey.rest = 2 * performance.now() - now;
  }
  journey.request = requestAnimationFrame(() => advance(journey));
}

const mayMove = ({ root, moving, inSight }) => moving && inSight && root.isConnected && !document.hidden;

function wake(journey) {
  if (journey.request || !mayMove(journey)) return;
  journey.seen = performance.now();
  journey.request = requestAnimationFrame(() => advance(journey));
}

function setMoving(journey, moving) {
  journey.moving = moving;
  journey.button.querySelector("span").textContent = moving ? "Pause" : "Play";
  journey.button.querySelector("path").setAttribute("d", moving ? ICONS.pause : ICONS.play);
  wake(journey);
}

function begin(root) {
  const [canvas, caption, button] = ["canvas", "figcaption", "button"].map((name) => root.querySelector(name));
  const journey = { root, canvas, caption, button, time: 0, seen: 0, rest: 0, request: 0, inSight: true };
  // Who wants no motion sees where the way ends: the samples.
  if (isCalm()) journey.time = LOOP / 2;
  setMoving(journey, !isCalm());
  button.addEventListener("click", () => setMoving(journey, !journey.moving));
  matchMedia("(prefers-reduced-motion: reduce)").addEventListener("change", () => setMoving(journey, !isCalm()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(() => draw(journey), 300));
  document.addEventListener("visibilitychange", () => wake(journey));
  new ResizeObserver(() => draw(journey)).observe(canvas);
  new IntersectionObserver(([entry]) => {
    journey.inSight = entry.isIntersecting;
    wake(journey);
  }).observe(canvas);
  return journey;
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".journey");
  const journey = journeys.get(root) ?? begin(root);
  journeys.set(root, journey);
  journey.scene = decode(data);
  journey.canvas.setAttribute("aria-label", data.alt);
  draw(journey);
  wake(journey);
}
