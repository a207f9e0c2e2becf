"""What the live picture draws from weights, as a test reads it off the page; and the density of such weights by NumPy,
which shares no code with the page."""

from itertools import pairwise

import numpy as np

from app.engine.training.weights import decode

VIEW = "document.querySelector('.live-panes').live"
RESTS = "root.live?.picture && !root.live.scene.playing && root.live.picture.step === root.live.newest?.step"
SHARP = f"{RESTS} && root.live.picture.density.field.columns >= 200 && root.live.picture.ways?.linePoints > 100"
"""The newest flow stands still, and the picture of it is as sharp as it becomes."""


class Heard:
    """The weights that a page receives by the channel: the header and the numbers of each step."""

    def __init__(self, page):
        self.by_step = {}
        page.on("websocket", lambda socket: socket.on("framereceived", self._take))

    def _take(self, said):
        if isinstance(said, bytes) and b'"flow"' in said[:200]:
            header, numbers = decode(said)
            self.by_step[header["step"]] = header, numbers


def moments(visitor):
    """The numbers of each moment of the film before the newest, by its step."""
    found = visitor.page.evaluate(f"""() => {{
        const {{ time, newest }} = {VIEW};
        return time.film.moments.filter(({{ step }}) => step < newest.step).map(({{ step, weights }}) =>
            [step, [...new Float32Array(weights.slice(4 + new DataView(weights).getUint32(0, true)))]]);
    }}""")
    return {step: np.array(numbers, np.float32) for step, numbers in found}


def density(visitor, pane="data"):
    """The step on the planes, the window of the finest density that is drawn, and that per unit area of the flow, row =
    y ascending."""
    step, window, columns, values = visitor.page.evaluate(f"""() => {{
        const {{ picture, panes, scene: {{ axes }} }} = {VIEW};
        const {{ nodes, window }} = panes.{pane}.surface.picture.layers.findLast(({{ kind }}) => kind === 'field');
        const inFlow = window.map((side, i) => side.map((end) => (end - axes[i].centre) / axes[i].scale));
        const area = axes[0].scale * axes[1].scale;
        return [picture.step, inFlow, nodes.columns, Array.from(nodes.values, (p) => p * area)];
    }}""")
    return step, window, np.array(values).reshape(-1, columns)


def nodes(window, shape):
    """The nodes of a grid over a window, (rows * columns, 2)."""
    (x0, x1), (y0, y1) = window
    x, y = np.meshgrid(np.linspace(x0, x1, shape[1]), np.linspace(y0, y1, shape[0]))
    return np.stack([x.ravel(), y.ravel()], 1)


def log_density(header, numbers, points):
    """log p in nats of a residual flow with sines, in double precision: x -> s x + t before each block and after
    the last, and x -> x + W_m sin(... W_1 sin(beta x) + b_1 ...) + b_m."""
    flow, rest = header["flow"], np.asarray(numbers, float)
    widths = flow["widths"]
    assert flow["branch"] == "residual" and flow["actnorm"]
    assert (flow["activation"]["tree"], flow["activation"]["arrangement"]) == (["sin", "z"], "in place")

    def take(*shape):
        nonlocal rest
        size = int(np.prod(shape))
        found, rest = rest[:size].reshape(shape), rest[size:]
        return found

    def normed(x):
        scale, shift = take(2), take(2)
        return scale * x + shift, np.log(np.abs(scale)).sum()

    x, log_det = np.asarray(points, float), np.zeros(len(points))
    for _ in range(flow["blocks"]):
        x, constant = normed(x)
        beta = take(1)[0]
        value, tangent = beta * x, beta * np.eye(2)[None].repeat(len(x), 0)
        for inputs, outputs in pairwise(widths):
            weight, bias = take(outputs, inputs), take(outputs)
            tangent = weight @ (np.cos(value)[:, :, None] * tangent)
            value = np.sin(value) @ weight.T + bias
        x = x + value
        log_det += constant + np.log(np.abs(np.linalg.det(np.eye(2) + tangent)))
    x, constant = normed(x)
    assert not rest.size, "all numbers are used"
    return constant + log_det - 0.5 * (x**2).sum(1) - np.log(2 * np.pi)
