// A surface: a canvas that fills its box, sharp on dense displays, with two axes that the wheel zooms and a drag moves.
//
// A picture is {x: {title, range}, y: {title, range}, layers, ratio, bar, ticks}: layers are drawn in their order
// (`LAYERS`), but those with `visible: false`. With a `ratio`, a unit of y is as many of x's in pixels, and there is room
// for a colour bar, `bar`: {title, range, palette}.

const MARGIN = { left: 46, right: 12, top: 10, bottom: 42 };
const BAR = 58; // room for a colour bar; the same as --bar in panes.css
const TICK = 4;
const WHEEL = 0.0015; // of a zoom by e for each pixel that a wheel turns
const CLICK = 4; // pixels that a press may move and not be a drag

/** A surface in an empty box. `moved` is told the ranges of both axes that a hand asks for, null for the whole;
 * `told` the place of the pointer, null beside the plot, and returns what stands there as text. */
function surfaceIn(box, { moved, told }) {
  const canvas = document.createElement("canvas");
  const tip = Object.assign(document.createElement("span"), { className: "canvas-tip", hidden: true });
  box.replaceChildren(canvas, tip);
  const surface = { box, canvas, tip, context: canvas.getContext("2d"), picture: null, at: null, dense: 1, told };
  box.surface = surface;
  listenToHands(surface, moved);
  return surface;
}

/** Where the plot is in a box of this size, and how numbers become pixels. */
function placeOfPlot({ x, y, ratio }, width, height) {
  const [[x0, x1], [y0, y1]] = [x.range, y.range];
  const room = {
    left: MARGIN.left, top: MARGIN.top, height: height - MARGIN.top - MARGIN.bottom,
    width: width - MARGIN.left - MARGIN.right - (ratio ? BAR : 0),
  };
  const scale = ratio && Math.min(room.width / (x1 - x0), room.height / (ratio * (y1 - y0)));
  const size = ratio ? { width: scale * (x1 - x0), height: scale * ratio * (y1 - y0) } : room;
  const left = room.left + (room.width - size.width) / 2;
  const top = room.top + (room.height - size.height) / 2;
  return {
    left, top, width: size.width, height: size.height,
    x: (value) => left + ((value - x0) / (x1 - x0)) * size.width,
    y: (value) => top + ((y1 - value) / (y1 - y0)) * size.height,
    atPixel: (p, q) => [x0 + ((p - left) / size.width) * (x1 - x0), y1 - ((q - top) / size.height) * (y1 - y0)],
  };
}

/** Draw a picture, whatever was there before. */
function drawPicture(surface, picture, theme) {
  const { box, canvas, context } = surface;
  const [width, height, dense] = [box.clientWidth, box.clientHeight, window.devicePixelRatio || 1];
  if (!width || !height) return;
  const size = [Math.round(width * dense), Math.round(height * dense)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) {
    [canvas.width, canvas.height] = size;
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  }
  const at = placeOfPlot(picture, width, height);
  Object.assign(surface, { picture, at, dense });
  context.setTransform(dense, 0, 0, dense, 0, 0);
  context.clearRect(0, 0, width, height);
  context.save();
  context.beginPath();
  context.rect(at.left, at.top, at.width, at.height);
  context.clip();
  for (const layer of picture.layers) {
    if (layer.visible !== false) LAYERS[layer.kind](context, layer, at, theme, surface);
  }
  context.restore();
  drawAxes(context, picture, at, theme);
  if (picture.bar) drawBar(context, picture.bar, at, theme);
}

function drawAxes(context, { x, y, ticks = 6 }, at, theme) {
  const [right, bottom] = [at.left + at.width, at.top + at.height];
  Object.assign(context, { lineWidth: 1, strokeStyle: theme.ink(0.2) });
  context.strokeRect(at.left, at.top, at.width, at.height);
  Object.assign(context, { strokeStyle: theme.ink(0.3), fillStyle: theme.ink(0.65), font: `11px ${theme.font}` });
  context.beginPath();
  Object.assign(context, { textAlign: "center", textBaseline: "top" });
  for (const { value, text } of ticksOf(x.range, ticks)) {
    context.moveTo(at.x(value), bottom);
    context.lineTo(at.x(value), bottom + TICK);
    context.fillText(text, at.x(value), bottom + TICK + 3);
  }
  Object.assign(context, { textAlign: "right", textBaseline: "middle" });
  for (const { value, text } of ticksOf(y.range, ticks)) {
    context.moveTo(at.left, at.y(value));
    context.lineTo(at.left - TICK, at.y(value));
    context.fillText(text, at.left - TICK - 3, at.y(value));
  }
  context.stroke();
  Object.assign(context, { fillStyle: theme.ink(0.8), font: `12px ${theme.font}`, textAlign: "center" });
  context.textBaseline = "bottom";
  context.fillText(x.title, at.left + at.width / 2, bottom + MARGIN.bottom - 3);
  turned(context, y.title, at.left - MARGIN.left + 3, at.top + at.height / 2, "top");
}

/** Text that reads upwards. */
function turned(context, text, x, y, baseline) {
  context.save();
  context.translate(x, y);
  context.rotate(-Math.PI / 2);
  Object.assign(context, { textAlign: "center", textBaseline: baseline });
  context.fillText(text, 0, 0);
  context.restore();
}

function drawBar(context, { title, range: [low, high], palette }, at, theme) {
  const [left, width, steps] = [at.left + at.width + 12, 9, 64];
  for (let k = 0; k < steps; k++) {
    const colour = palette[Math.round((255 * (k + 0.5)) / steps - 0.5)];
    context.fillStyle = `rgb(${colour & 255},${(colour >> 8) & 255},${(colour >> 16) & 255})`;
    const top = at.top + at.height * (1 - (k + 1) / steps);
    context.fillRect(left, top, width, at.height / steps + 0.5);
  }
  Object.assign(context, { fillStyle: theme.ink(0.65), font: `11px ${theme.font}`, textAlign: "left",
    textBaseline: "middle" });
  for (const { value, text } of ticksOf([low, high], 5)) {
    context.fillText(text, left + width + 4, at.top + at.height * (1 - (value - low) / (high - low)));
  }
  turned(context, title, at.left + at.width + BAR + MARGIN.right - 2, at.top + at.height / 2, "bottom");
}

/** Both ranges, zoomed by a factor around a place. */
function zoomed({ x, y }, [u, v], factor) {
  const around = ([low, high], place) => [place + (low - place) * factor, place + (high - place) * factor];
  return [around(x.range, u), around(y.range, v)];
}

function listenToHands(surface, moved) {
  const { box, canvas } = surface;
  let from = null; // where a drag began: pixels and ranges
  const pixels = (event) => {
    const { left, top } = canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  const isInside = ([p, q]) => {
    const { at } = surface;
    return at && p >= at.left && p <= at.left + at.width && q >= at.top && q <= at.top + at.height;
  };
  box.addEventListener("wheel", (event) => {
    const place = pixels(event);
    if (!isInside(place)) return;
    event.preventDefault();
    moved(zoomed(surface.picture, surface.at.atPixel(...place), Math.exp(WHEEL * event.deltaY)));
  }, { passive: false });
  box.addEventListener("dblclick", (event) => isInside(pixels(event)) && moved(null));
  box.addEventListener("pointerdown", (event) => {
    // A finger must be able to scroll the page.
    if (event.pointerType === "touch" || event.button || !isInside(pixels(event))) return;
    const { x, y } = surface.picture;
    from = { place: pixels(event), at: surface.at, ranges: [x.range, y.range], moving: false };
    canvas.setPointerCapture(event.pointerId);
  });
  box.addEventListener("pointermove", (event) => {
    const place = pixels(event);
    if (from) {
      const way = place.map((p, i) => p - from.place[i]);
      from.moving ||= Math.hypot(...way) > CLICK;
      if (!from.moving) return;
      const [start, end] = [from.at.atPixel(...from.place), from.at.atPixel(...place)];
      moved(from.ranges.map((range, i) => range.map((value) => value - (end[i] - start[i]))));
    }
    tell(surface, isInside(place) ? place : null);
  });
  box.addEventListener("pointerup", () => { from = null; });
  box.addEventListener("pointercancel", () => { from = null; });
  box.addEventListener("pointerleave", () => tell(surface, null));
}

/** What stands where the pointer is, beside it. */
function tell(surface, place) {
  const { tip, at, told } = surface;
  const text = place && told(at.atPixel(...place));
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const isRight = place[0] > at.left + at.width / 2;
  Object.assign(tip.style, {
    left: isRight ? "" : `${place[0] + 12}px`, right: isRight ? `${surface.box.clientWidth - place[0] + 12}px` : "",
    top: `${place[1] + 12}px`,
  });
}
