"""The program of a block whose weights are changed by hand: what the constraint leaves of it, and what follows."""

from app.engine.training.measurements.edits import GRID
from app.takeaway.of_flow import INVERSE_POINTS
from app.takeaway.of_run import mass_lines
from app.takeaway.source import Source, program
from app.takeaway.training import Run, looked_at, trained
from resflow_core.log_det import Exact
from resflow_core.measure import Change

ABOUT = """
Train a residual flow, change weights of one block by hand, and see what the constraint leaves of them.

    Lip(g) <= product over the layers of ||W||        (section 2 of the paper: layers one after the other)

The changes are made before the constraint, where training makes its own. The constraint then holds the norm of each
layer to its cap. The block x + s g(x) is certified to have an inverse if s Lip(g) < 1 (Chen, Behrmann, Duvenaud &
Jacobsen, NeurIPS 2019).
"""


def of_weights(run: Run, block: int) -> str:
    """The numbers beside the network of a block (from 0), with `run.edited`."""
    source = Source()
    source.use("edited_block", "density_grid", of="resflow_core.measure")
    edited = run.edited if run.edited is not None and run.edited.block == block else None
    layers = [
        f"# Block {block + 1} before and after its changes, in float64. Norms are certified upper bounds.",
        looked_at(source, run),
        "whole = trainer.evaluated",
        f"points = data.held_out()[:{INVERSE_POINTS}]",
        f"found = edited_block(whole, {'edited' if edited else 'None'}, {block}, points)",
        "for k, layer in enumerate(found.layers, 1):",
        "    raw, asked, used, left = layer.norms",
        '    print(f"Norm of layer {k}, before the constraint: {raw:.6g} as trained, {asked:.6g} now")',
        '    print(f"Norm of layer {k}, cap {layer.cap:.6g}: {used:.6g} as trained, {left:.6g} now")',
    ]
    if edited and edited.changes:
        layers += _newest(source, edited.changes[-1])
    follows = [
        "# The certificate, where the block folds, and Banach's iteration from z back to x.",
        "trained, now = found.certified",
        'print(f"Product of the norms of all layers: {trained:.6g} as trained, {now:.6g} now")',
        'print(f"Bound s L: {found.lipschitz:.6g}")',
        'print(f"Smallest det(I + s A): {found.smallest_det:.6g}")',
        'print(f"It folds at s = {found.folds_at:.6g}")',
        "steps, late, places = found.most_steps, found.late, found.places",
        'print(f"Steps from z back to x: {steps} at most, too many for {late} of {places} z")',
    ]
    density = [
        "# How much of the probability in the window moved (total variation), and the integral of the density.",
        "(x0, x1), (y0, y1) = data.window",
        f"before, after = (density_grid(one, data.window, {GRID}).astype(float) for one in (whole, flow))",
        "moved = abs(after - before).mean() * (x1 - x0) * (y1 - y0) / 2",
        'print(f"Moved: {100 * moved:.3f} % of the probability")',
        *mass_lines(source, run, Exact()),
    ]
    return program(ABOUT, source, *trained(source, run), *("\n".join(part) for part in (layers, follows, density)))


def _newest(source: Source, change: Change) -> list[str]:
    """The lines that print what the newest change is of."""
    lines = [f"layer = found.layers[{change.layer}]  # of the newest change"]
    if change.kind == "bias":
        pair = f"{{layer.bias[{change.row}]:.6g}} as trained, {{layer.bias_now[{change.row}]:.6g}} now"
        return [*lines, f'print(f"The bias: {pair}")']
    name, read = "The weight", f"matrix[{change.row}, {change.column}]"
    if change.kind == "row":
        source.use_module("numpy as np")
        name, read = "Norm of the row", f"np.linalg.norm(matrix[{change.row}])"
    return [
        *lines,
        f"raw, asked, used, left = ({read} for matrix in (layer.raw, layer.asked, layer.used, layer.left))",
        f'print(f"{name}, before the constraint: {{raw:.6g}} as trained, {{asked:.6g}} now")',
        f'print(f"{name}, as the layer uses it: {{used:.6g}} as trained, {{left:.6g}} now")',
    ]
