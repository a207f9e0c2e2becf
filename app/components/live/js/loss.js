// The loss pane: state -> traces and layout.

const quantile = (sorted, q) => sorted[Math.round(q * (sorted.length - 1))];

/** The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten: an axis rests while the curve grows into it. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((m) => m * power >= value);
}

/** Ranges that show the curve: its first 5 % of steps (often huge) and its highest 3 % may leave the pane, but not the
 * newest held-out loss. */
function lossRanges(loss, floor) {
  const last = loss?.step.at(-1);
  if (!last) return [[0, 100], floor === null ? [0, 5] : [floor - 0.5, floor + 2.5]];
  const late = (steps, values) => values.filter((v, i) => v !== null && steps[i] >= 0.05 * last);
  const values = [...late(loss.step, loss.batch_nll), ...late(loss.held_step, loss.held_nll)].sort((a, b) => a - b);
  if (!values.length) return lossRanges(null, floor);
  const low = Math.min(quantile(values, 0.01), floor ?? Infinity);
  const newest = loss.held_nll.findLast((v) => v !== null) ?? -Infinity;
  const high = Math.max(quantile(values, 0.97), newest);
  const tick = roundUp(Math.max(high - low, 0.2) / 8);
  return [[0, roundUp(last)], [Math.floor(low / tick - 0.4) * tick, Math.ceil(high / tick + 0.2) * tick]];
}

function paneLoss(view, theme) {
  const { scene: { loss, floor, loss_unit: unit }, layers: { loss: on }, panes: { loss: pane } } = view;
  const [xRange, yRange] = view.zoom.loss ?? lossRanges(loss, floor);
  const traces = [];
  const line = (x, y, style, name, visible) => traces.push({
    type: "scatter", mode: "lines", x, y, line: style, name, visible,
    hovertemplate: `%{y:.3f} ${unit} at step %{x:,}<extra>${name}</extra>`,
  });
  if (loss) {
    line(loss.step, loss.batch_nll, { width: 1, color: theme.ink(0.25) }, "batch", on.batch);
    const edge = (sign) => loss.held_nll.map((v, i) => (v === null ? null : v + sign * 2 * loss.held_se[i]));
    traces.push({
      type: "scatter", mode: "lines", x: [...loss.held_step, ...loss.held_step.toReversed()],
      y: [...edge(1), ...edge(-1).reverse()], fill: "toself", fillcolor: "rgba(213,94,0,0.22)", line: { width: 0 },
      visible: on.held, hoverinfo: "skip",
    });
    line(loss.held_step, loss.held_nll, { width: 2.4, color: COLOURS.held }, "held-out", on.held);
  }
  const layout = layoutOf(pane, theme, [axisOf(theme, "step", xRange), axisOf(theme, `NLL (${unit})`, yRange)]);
  Object.assign(layout.xaxis, { nticks: 5, tickformat: ",d" });
  layout.margin = { ...MARGIN, r: 18 }; // half of the last step's label
  if (floor !== null) {
    const low = floor - yRange[0] < 0.18 * (yRange[1] - yRange[0]); // below it the words would cross the frame
    layout.shapes = [{
      type: "line", xref: "paper", x0: 0, x1: 1, y0: floor, y1: floor,
      line: { width: 1.2, color: theme.ink(0.7), dash: "4px,3px" },
    }];
    layout.annotations = [{
      xref: "paper", x: 0.985, xanchor: "right", y: floor, yanchor: low ? "bottom" : "top", showarrow: false,
      text: "entropy of the data", font: { size: 11, color: theme.ink(0.75) },
    }];
  }
  return [traces, layout];
}
