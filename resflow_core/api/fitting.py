"""Fitting a flow to points by maximum likelihood: own units, validation, the best weights, an early stop."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from resflow_core.api import by_kernels
from resflow_core.api.choices import points_of
from resflow_core.api.sizes import batch_for, learning_rate_for, weight_decay_for
from resflow_core.arguments import check_finite
from resflow_core.log_det import Exact
from resflow_core.settings import told
from resflow_core.training.trainer import Diverged, cosine

FEWEST_POINTS = 10
STEPS = 2_000
LONGEST = 7 * 24 * 3600.0
# Validation points are looked at this many times in a fit, and training stops after so many without a better value.
LOOKS, PATIENCE = 50, 12
# Looks at the validation points are at least this many steps apart, and nothing stops before so many steps.
STRIDE, FEWEST_STEPS = 10, 300
AVERAGE, CLIP, LEAST_RATE, WARM_STEPS = 0.98, 10.0, 0.01, 50
# The exact log det of more validation points takes longer than training.
MOST_JUDGED, JUDGED_NUMBERS = 5_000, 2**25
# The smallest eigenvalue of the correlations that is no rounding.
LEAST_EIGENVALUE = 1e-10


@dataclass(frozen=True)
class Fit:
    """What `fit` chose and found. NLLs are means of -log p(x) in nats, in the units of the points."""

    points: int
    validation_points: int
    blocks: int
    width: int
    batch: int
    learning_rate: float
    log_det: str
    steps: int
    seconds: float
    best_step: int
    train_nll: float
    validation_nll: float
    reason: str
    backend: str = "torch"  # that took the steps; "numba": compiled kernels

    def __str__(self) -> str:
        held = (
            f"validation NLL {self.validation_nll:.3f} nats on {self.validation_points:,} points at step "
            f"{self.best_step:,}, whose weights are kept"
            if self.validation_points
            else "no validation points, the last weights are kept"
        )
        return (
            f"fitted to {self.points:,} points: {self.blocks} blocks x {self.width} units, batch {self.batch}, "
            f"learning rate {self.learning_rate:g}, log det {self.log_det}; {self.steps:,} steps by {self._by} in "
            f"{self.seconds:.1f} s ({self.reason}); NLL of the batches {self.train_nll:.3f} nats; {held}."
        )

    @property
    def _by(self) -> str:
        return "compiled kernels" if self.backend == "numba" else self.backend


def fit(
    flow: Any,
    X: Any,
    seconds: float | None,
    steps: int | None,
    validation: Any,
    context: Any,
    batch: int | None,
    learning_rate: float | None,
    progress: bool | None,
) -> Any:
    """`ResidualFlow.fit`."""
    start = time.monotonic()
    limit_seconds, limit_steps = _limits(seconds, steps)
    points, contexts = _data(flow, X, context, "X")
    if flow.fitted is None:
        flow._suit(len(points))
    held, held_contexts, points, contexts = _held_out(flow, points, contexts, validation)
    if len(points) < FEWEST_POINTS:
        raise ValueError(f"{len(points)} points are too few to fit a density to. Give at least {FEWEST_POINTS}.")
    batch = batch_for(len(points)) if batch is None else _count("batch", batch, 2)
    rate = learning_rate_for(flow.features) if learning_rate is None else _positive("learning_rate", learning_rate)
    if flow.fitted is None:
        _set_units(flow, points, contexts)
    _check_spread((points - flow.centre.cpu()) / flow.scale.cpu())
    rows, rows_given, _ = flow._rows(points.to(flow.device), contexts)
    held_rows, held_given, _ = flow._rows(held.to(flow.device), held_contexts) if len(held) else (None, None, None)
    if flow.fitted is None:
        with flow._given(rows_given):
            flow.flow.initialize(rows)
    run = _Run(flow, rows, rows_given, held_rows, held_given, min(batch, len(rows)), rate, len(points))
    left = max(limit_seconds - (time.monotonic() - start), 1e-3)  # what was prepared took some of it
    reason = run.go(left, limit_steps, _bar(progress))
    flow.fitted = Fit(
        len(points),
        len(held),
        flow.config.blocks,
        flow.config.width,
        run.batch,
        rate,
        type(flow.log_det).__name__.lower(),
        run.step,
        time.monotonic() - start,
        run.best_step,
        run.train_nll,
        run.best if len(held) else math.nan,
        reason,
        "numba" if run.kernels else "torch",
    )
    return flow


class _Run:
    """One fit: weights, their moving average, and the best average so far."""

    def __init__(
        self,
        flow: Any,
        rows: Tensor,
        given: Tensor | None,
        held: Tensor | None,
        held_given: Tensor | None,
        batch: int,
        rate: float,
        points: int,
    ):
        self.flow, self.rows, self.given, self.held, self.held_given = flow, rows, given, held, held_given
        self.batch, self.rate = batch, rate
        self.kernels = by_kernels.ByKernels(flow) if by_kernels.trained(flow) else None
        if self.kernels:
            self.parameters = self.kernels.parameters
            matrices, others = ([part] for part in self.parameters)
        else:
            self.parameters = [parameter for parameter in flow.parameters() if parameter.requires_grad]
            matrices = [parameter for parameter in self.parameters if parameter.ndim > 1]
            others = [parameter for parameter in self.parameters if parameter.ndim <= 1]
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.optimiser = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": weight_decay_for(points)}, {"params": others, "weight_decay": 0.0}],
            lr=rate,
        )
        self.step, self.train_nll = 0, math.nan
        self.best, self.best_step, self.kept = math.inf, 0, [a.clone() for a in self.average]
        self.longest_look = 0.0  # seconds
        self.carrying = [m for m in flow.flow.modules() if callable(getattr(m, "advance", None))]

    def go(self, seconds: float, steps: int, show: Callable[[float, str], None]) -> str:
        """Train, and leave the best weights in the flow. Returns why it ended. The last look at the validation points
        is within the time."""
        start, since, looked, next_look = time.monotonic(), 0, 0, 1 / LOOKS
        reason = ""

        def share() -> float:
            return max(self.step / steps, (time.monotonic() - start + self.longest_look) / seconds)

        try:
            while not reason:
                self._step(share())
                done = share()
                over = done >= 1
                if self.held is not None and (over or (done >= next_look and self.step >= looked + STRIDE)):
                    next_look = (math.floor(done * LOOKS) + 1) / LOOKS
                    since, looked = 0 if self._look() else since + 1, self.step
                    if since >= PATIENCE and self.step >= FEWEST_STEPS and not over:
                        reason = "stopped early, since the validation points no longer improved"
                show(done, f"step {self.step:,}, NLL {self.train_nll:.3f}")
                if over:
                    reason = reason or ("all steps taken" if self.step >= steps else "the time was up")
        finally:
            self._put(self.kept if self.held is not None else self.average)
            if self.kernels:
                self.kernels.release()
            show(math.inf, "")
        return reason

    def _step(self, done: float) -> None:
        value, gradients = self._differentiated()
        norm = float(torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients])))
        if not math.isfinite(value + norm):
            raise Diverged(
                f"The loss stopped being finite at step {self.step + 1}. The best weights are kept. Lower "
                f"learning_rate (it was {self.rate:g})."
            )
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient.mul_(min(1.0, CLIP / (norm + 1e-6)))
        warm = min(1.0, (self.step + 1) / WARM_STEPS)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * warm * max(cosine(done), LEAST_RATE)
        self.optimiser.step()
        self.optimiser.zero_grad()
        for module in self.carrying:
            module.advance()
        self.step += 1
        self.train_nll = value if self.step == 1 else self.train_nll + 0.05 * (value - self.train_nll)
        decay = min(AVERAGE, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)

    def _differentiated(self) -> tuple[float, Sequence[Tensor]]:
        """The NLL of a batch in nats, and its gradient in the parameters."""
        flow = self.flow
        chosen = torch.randint(len(self.rows), (self.batch,), generator=flow._stream).to(self.rows.device)
        if self.kernels:
            nll, gradients = self.kernels.gradients(self.rows[chosen], flow.log_det, flow._stream)
            return nll + float(flow.scale.log().sum()), gradients
        given = None if self.given is None else self.given[chosen]
        loss = -flow._log_prob(self.rows[chosen], given, flow.log_det, flow._stream).mean()
        return loss.item(), torch.autograd.grad(loss, self.parameters, materialize_grads=True)

    @torch.no_grad()
    def _look(self) -> bool:
        """Whether the averaged weights fit the validation points better than any before."""
        start = time.monotonic()
        trained = [parameter.detach().clone() for parameter in self.parameters]
        self._put(self.average)
        parts = self.flow._chunks(self.held, self.held_given, Exact())
        found = [self.flow._log_prob(rows, given, Exact(), self.flow._stream) for rows, given in parts]
        nll = -float(torch.cat(found).double().mean())
        self._put(trained)
        self.longest_look = max(self.longest_look, time.monotonic() - start)
        if not nll < self.best:
            return False
        self.best, self.best_step, self.kept = nll, self.step, [a.clone() for a in self.average]
        return True

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)


def _data(flow: Any, X: Any, context: Any, what: str) -> tuple[Tensor, Tensor | None]:
    """Points and contexts in float64, (n, d) and (n, k), all finite."""
    points = points_of(X, flow.features, what).detach().cpu().double()
    if points.ndim != 2:
        raise ValueError(f"{what} has the shape {tuple(points.shape)}: pass {what}.reshape(-1, {flow.features}).")
    check_finite(points)
    if (context is None) == bool(flow.context):
        raise ValueError(
            f"This flow has a context of {flow.context} numbers: pass context=C, (n, {flow.context})."
            if flow.context
            else "This flow has no context: build it with rf.ResidualFlow(..., context=k)."
        )
    if context is None:
        return points, None
    contexts = points_of(context, flow.context, "context").detach().cpu().double()
    if contexts.ndim != 2 or len(contexts) != len(points):
        raise ValueError(f"context has the shape {tuple(contexts.shape)}: ({len(points)}, {flow.context}) is needed.")
    check_finite(contexts)
    return points, contexts


def _held_out(flow: Any, points: Tensor, contexts: Tensor | None, validation: Any) -> tuple[Any, Any, Any, Any]:
    """Validation points and contexts, and those to train on."""
    if validation is None or (isinstance(validation, int | float) and not isinstance(validation, bool)):
        share = float(validation or 0.0)
        if not 0 <= share <= 0.9:
            raise ValueError(f"validation = {validation!r}: use a share from 0 to 0.9, or points of their own.")
        n = round(share * len(points))
        order = torch.randperm(len(points), generator=flow._stream)
        if n == 0:
            return points[:0], None if contexts is None else contexts[:0], points, contexts
        first, rest = order[:n], order[n:]
        of_first, of_rest = (None, None) if contexts is None else (contexts[first], contexts[rest])
        held, held_contexts, points, contexts = points[first], of_first, points[rest], of_rest
    else:
        if flow.context and (not isinstance(validation, tuple) or len(validation) != 2):
            raise ValueError("validation: with a context, pass a share or (points, contexts).")
        values, given = validation if flow.context else (validation, None)
        held, held_contexts = _data(flow, values, given, "validation")
    most = max(100, min(MOST_JUDGED, JUDGED_NUMBERS // (flow.config.blocks * flow.features**2)))
    return held[:most], None if held_contexts is None else held_contexts[:most], points, contexts


def _set_units(flow: Any, points: Tensor, contexts: Tensor | None) -> None:
    centre, scale = points.mean(0), points.std(0)
    flat = ~(scale > 1e-12 * points.abs().amax(0).clamp(min=1e-300))
    if bool(flat.any()):
        column = int(flat.nonzero()[0])
        raise ValueError(
            f"Column {column} of X is {points[0, column]:g} in every row: it has no density. Leave it out, or "
            "add noise."
        )
    flow.centre.copy_(centre)
    flow.scale.copy_(scale)
    if contexts is not None:
        deviation = contexts.std(0)
        flow.context_centre.copy_(contexts.mean(0))
        flow.context_scale.copy_(torch.where(deviation > 0, deviation, 1.0))  # a constant context says nothing


def _check_spread(rows: Tensor) -> None:
    eigenvalues, vectors = torch.linalg.eigh(torch.corrcoef(rows.T).reshape(rows.shape[1], -1))
    if len(rows) > rows.shape[1] and eigenvalues[0] < LEAST_EIGENVALUE:
        columns = [i for i, weight in enumerate(vectors[:, 0].abs().tolist()) if weight > 0.1]
        raise ValueError(
            f"Columns {columns} of X are a linear combination of each other up to rounding: the points lie in a plane "
            "of fewer dimensions, where no density exists. Leave one of the columns out, or add noise."
        )


def _limits(seconds: float | None, steps: int | None) -> tuple[float, int]:
    if seconds is None and steps is None:
        steps = STEPS
    return (
        LONGEST if seconds is None else _positive("seconds", seconds),
        10**9 if steps is None else _count("steps", steps, 1),
    )


def _positive(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ValueError(f"{name} = {told(value)}: use a number above 0.")
    return float(value)


def _count(name: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} = {told(value)}: use a whole number of at least {least}.")
    return value


def _bar(progress: bool | None) -> Callable[[float, str], None]:
    """What draws how much is done, from 0 to 1; infinity ends the line."""
    if not (sys.stderr.isatty() if progress is None else progress):
        return lambda done, text: None
    last = 0.0

    def show(done: float, text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if done == math.inf:
            print(file=sys.stderr)
        elif now - last > 0.1 or done >= 1:
            last, filled = now, round(30 * min(done, 1.0))
            print(
                f"\r[{'#' * filled}{'.' * (30 - filled)}] {min(done, 1):4.0%}  {text}",
                end="",
                file=sys.stderr,
                flush=True,
            )

    return show
