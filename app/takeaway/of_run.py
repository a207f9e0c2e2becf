"""The program that trains the page's run to its step, and prints the numbers beside the picture."""

from collections.abc import Sequence
from typing import Any

import torch

from app.engine.training.measurements.masses import CELLS
from app.metrics import Readout
from app.setup import Changes, Setup
from app.takeaway.source import Source, comment, program
from app.takeaway.training import Run, looked_at, trained
from resflow_core.data import DATASETS
from resflow_core.estimators.moments import believed_log_det
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, LogDet, Truncated

ABOUT = """
Train a residual flow, and judge it on points that it has never seen.

A residual flow (Chen, Behrmann, Duvenaud & Jacobsen, NeurIPS 2019) maps data x to z = f(x) by blocks x + g(x) with
Lip(g) < 1. Its density is (equation 2)

    log p(x) = log N(f(x); 0, I) + sum over the blocks of log det(I + A),    A = dg/dx
"""


def of_run(
    setup: Setup, *, changes: Changes | None = None, step: int, readouts: Sequence[Readout] = (), **more: Any
) -> str:
    """The run that began with `setup`, after `step` steps with the `changes` that were made on the way; without them
    those that are planned. `readouts` are the numbers on the page, which a comment repeats. `more` are fields of
    `Run`."""
    return of_trained(Run.of(setup, changes=changes, step=step, **more), readouts)


def of_trained(run: Run, readouts: Sequence[Readout] = ()) -> str:
    """As `of_run`, of a flow in the plane."""
    source = Source()
    sections = [*trained(source, run), _held_out(source, run), _mass(source, run), _told(readouts, run.step)]
    return program(ABOUT, source, *sections)


def has_truth(data: Any) -> bool:
    """Whether the density of the data is known."""
    return isinstance(data, str) and data in DATASETS and DATASETS[data].truth is not None


def evaluated(source: Source, run: Run) -> str:
    """The line that sets `log_p`, the exact log p at the held-out points `x`, by `trainer.evaluated`."""
    if isinstance(run.arm.flow, FlowConfig):
        return "log_p = rf.evaluate(trainer.evaluated, x).log_prob"
    source.use("log_prob", of="resflow_core.measure")
    return "log_p = log_prob(trainer.evaluated, x)"


def _held_out(source: Source, run: Run) -> str:
    source.use("mean_nll", of="resflow_core.measure")
    lines = [
        "# The exact log p(x), in nats, of held-out points. Each mean has its standard error.",
        "x = data.held_out()",
        evaluated(source, run),
        "nll = mean_nll(log_p)",
        'print(f"Held-out NLL: {nll.value:.4f} ± {nll.standard_error:.4f} nats")',
    ]
    if has_truth(run.arm.data):
        source.use("kl", of="resflow_core.measure")
        lines += [
            "gap = kl(data.truth.log_prob(x), log_p)  # the mean of log p_true(x) - log p(x)",
            'print(f"Gap to the truth, KL(data || model): {gap.value:.4f} ± {gap.standard_error:.4f} nats")',
        ]
    if isinstance(run.train.log_det, Truncated):
        source.use("log_prob_bias", of="resflow_core.measure")
        lines += [
            "# The training loss cuts the series of log det(I + A) (equation 3): it is biased.",
            f"bias = log_prob_bias(rf.evaluate(trainer.evaluated, x), {source.value(run.train.log_det)})",
            'print(f"Bias of log p as training sees it: {bias.value:.4f} ± {bias.standard_error:.4f} nats")',
        ]
    return "\n".join(lines)


def mass_lines(source: Source, run: Run, log_det: LogDet) -> list[str]:
    """The lines that print the mass of `flow`, and that of the density that `log_det` believes in."""
    source.use("Beliefs", "masses", of="resflow_core.measure")
    believes = log_det != Exact() and _is_known(log_det)
    names = "exact, believed" if believes else "exact,"
    beliefs = f"Beliefs(flow, {source.value(log_det if believes else Exact())})"
    lines = [
        f"({names}) = masses({beliefs}, data.window, {CELLS['fine']})",
        'print(f"Mass of the density: {exact.value:.4f} ± {exact.error:.4f}")',
    ]
    if believes:
        lines.append('print(f"Mass that training believes in: {believed.value:.4f} ± {believed.error:.4f}")')
    return lines


def _is_known(log_det: LogDet) -> bool:
    """Whether the density that an estimator believes in has a closed form."""
    try:
        believed_log_det(log_det, torch.zeros(1, 2, 2))
    except ValueError:
        return False
    return True


def _mass(source: Source, run: Run) -> str:
    head = "# The integral of p(x) over the plane, by quadrature: 1 for every flow that is invertible."
    return "\n".join([head, looked_at(source, run), *mass_lines(source, run, run.train.log_det)])


def _told(readouts: Sequence[Readout], step: int) -> str:
    shown = [one for one in readouts if one.value]
    if not shown:
        return ""
    lines = [f"# The page showed at step {step:,}:"]
    for one in shown:
        error = f" ± {one.error}" if one.error else ""
        at = f" (measured at step {one.step:,})" if one.step not in (None, step) else ""
        lines.append(comment(f"{one.label}: {one.value}{error} {one.unit}{at}"))
    return "\n".join(lines)
