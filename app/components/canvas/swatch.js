// A piece of line, a marker or a patch, as a legend shows what has a name.

const SWATCH = [26, 12]; // pixels

/** Draw the swatch of these layers at the origin of a pen. */
function drawSwatch(context, layers, theme, dense) {
  const [width, height] = SWATCH;
  const at = { x: (v) => v, y: (v) => v, left: 0, top: 0, width, height };
  for (const layer of layers) {
    if (layer.kind === "band") {
      context.fillStyle = layer.colour;
      context.fillRect(2, 0, width - 4, height);
      continue;
    }
    const isPoint = layer.kind === "points";
    const place = isPoint ? { x: [width / 2], y: [height / 2] } : { x: [2, width - 2], y: [height / 2, height / 2] };
    if (isPoint || (layer === layers[0] && layer.x?.length !== 1)) {
      LAYERS[isPoint ? "points" : "line"](context, { ...layer, ...place, halo: null }, at, theme, { dense });
    }
  }
}
