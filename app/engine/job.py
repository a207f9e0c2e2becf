"""One arm at work: a trainer, its losses and its pictures. Whoever owns it decides when each is worth its time."""

import copy
import pickle
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.engine.figures import DIGITS as DIGITS_NAME
from app.engine.frames import classed, density_pieces, render
from app.engine.history import HeldOut, History
from app.engine.messages import (
    Activity,
    Arm,
    Bounds,
    Derivatives,
    FarAway,
    Frame,
    Inversions,
    Jacobians,
    LossCurves,
    Masses,
    ViewRequest,
)
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.data import DATASETS, Dataset, Source
from resflow_core.data.digits import DIGITS
from resflow_core.flow import Flow, FlowConfig
from resflow_core.hybrid import Hybrid
from resflow_core.log_det import Exact
from resflow_core.training.device import choose
from resflow_core.training.trainer import AnyConfig, TrainConfig, Trainer, affords_exact_losses, step_bytes

# Many short pieces of a measurement are made one of about this length.
PIECE_SECONDS = 0.02
# What saturates is measured at so many points, and mapped on so many nodes a side.
ACTIVITY_POINTS, ACTIVITY_GRID = 1_000, 60
GRADIENT_POINTS = 256
DERIVATIVE_POINTS, SPECTRUM_POINTS = 500, 60
# Each setting has its own limit; together they could still ask for more than the machine has.
MOST_STEP_BYTES = 2 * 2**30


class Job:
    """Raises ValueError, naming value, limit and remedy, when `arm` does not describe a flow that can be trained."""

    def __init__(self, arm: Arm, seed: int, device: str, clock: Callable[[], float]):
        dataset, flow = _dataset(arm.data), replace(arm.flow)  # replace() makes the checks that unpickling skipped
        train, *_ = [checked(flow, train) for train in (arm.train, *(train for _, train in arm.changes))]
        choice = choose(device, flow, train, dataset)
        self.device_reason = choice.reason
        self._trainer = Trainer(flow, train, dataset, seed, choice.device, affords_exact_losses(flow))
        if arm.weights is not None:
            self._trainer.flow.load_state_dict(_weights(arm.weights, flow))
        self._clock = clock
        self._history = History()
        self.seconds = 0.0

    @property
    def step_count(self) -> int:
        return self._trainer.step_count

    @property
    def device(self) -> str:
        return str(self._trainer.device)

    def configure(self, train_config: TrainConfig) -> None:
        """Train with these settings, which are `checked`, from the next step on."""
        if train_config != self._trainer.train_config:
            self._trainer.configure(train_config)

    def step(self) -> bool | None:
        """One optimiser step. Raises `Diverged`. A job whose step has several parts takes one of them, and returns True
        while there are more (`MeasurementJob`)."""
        start = self._clock()
        nll = self._trainer.step()
        self.seconds += self._clock() - start
        self._history.add_batch(self.step_count, nll)

    def measure_held_out(self, demand: ViewRequest) -> tuple[measure.BlockTable | None, Bounds | None]:
        """Note the losses on held-out points, and return what each residual block does to these, where the flow has
        such, and bounds where wanted."""
        flow, log_det = self._trainer.evaluated, self._trainer.train_config.log_det
        if not isinstance(flow, Flow):
            self._note_held_out(measure.log_prob(flow, self._trainer.dataset.held_out()))
            return None, None
        evaluation = measure.evaluate(flow, self._trainer.dataset.held_out())
        learned = [block.branch.orders[:-1] for block in flow.blocks if block.branch.chain.learned]
        self._note_held_out(
            evaluation.log_prob,
            bias=measure.log_prob_bias(evaluation, log_det),
            orders=np.array(learned) if learned else None,
        )
        if (looked_at := self._looked_at(demand)) is not flow:
            evaluation = measure.evaluate(looked_at, self._trainer.dataset.held_out())
        table = measure.block_table(looked_at, evaluation, log_det)
        if not demand.bounds:
            return table, None
        return table, Bounds(
            self.step_count, measure.guarantees(looked_at, evaluation), measure.norm_estimates(looked_at)
        )

    def curves(self) -> LossCurves:
        return self._history.curves()

    def frame(self, demand: ViewRequest, *, with_samples: bool) -> Frame:
        flow = self._looked_at(demand)
        density = measure.density_grid(flow, self._trainer.dataset.window, demand.grid)
        return self._render(flow, demand, density, with_samples=with_samples)

    def still(self, demand: ViewRequest) -> Iterator[Frame | None]:
        """The sharp picture in pieces: None after each, the frame at the end. Void once the job takes a step."""
        flow = self._looked_at(demand)
        for density in density_pieces(flow, self._trainer.dataset.window, demand.still_grid):
            yield None if density is None else self._render(flow, demand, density, with_samples=True, still=True)

    def masses(self, demand: ViewRequest, n: int) -> Iterator[Masses | None]:
        """The mass meter in pieces: None after each, the masses at the end, of the flow as it is at the first."""
        flow, step = copy.deepcopy(self._looked_at(demand)), self.step_count
        log_det = self._trainer.train_config.log_det
        try:
            beliefs, why_none = measure.Beliefs(flow, log_det), ""
        except ValueError as error:
            beliefs, why_none = measure.Beliefs(flow, Exact()), str(error)
        for masses in measure.masses(beliefs, self._trainer.dataset.window, n):
            if masses is None:
                yield None
            else:
                exact, believed, *_ = (*masses, None)
                yield Masses(step, log_det, exact, believed, why_none, demand.scaled)

    def jacobians(self, demand: ViewRequest) -> Iterator[Jacobians | None]:
        """In pieces: None after each, all at the end, of the flow as it is at the first."""
        flow, step, dataset = copy.deepcopy(self._looked_at(demand)), self.step_count, self._trainer.dataset
        n = demand.jacobians
        parts = []
        for x in torch.cat([measure.grid_points(dataset.window, n), dataset.held_out()[: demand.points]]).split(2500):
            evaluation = measure.evaluate(flow, x)
            parts.append((evaluation.log_prob, evaluation.jacobians))
            yield None
        log_prob, jacobians = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        by_block = np.ascontiguousarray(jacobians.swapaxes(0, 1))
        yield Jacobians(
            step, by_block[:, : n * n], by_block[:, n * n :], np.exp(log_prob[: n * n]).reshape(n, n), dataset.window
        )

    def derivatives(self, demand: ViewRequest) -> Iterator[Derivatives]:
        """In one piece."""
        flow, points = self._looked_at(demand), self._trainer.dataset.held_out()[:DERIVATIVE_POINTS]
        spectrum = None
        if isinstance(flow, Flow):
            spectrum = measure.spectrum(measure.evaluate(flow, points).jacobians, SPECTRUM_POINTS)
        yield Derivatives(self.step_count, measure.jacobian_structure(flow, points), spectrum)

    def far(self) -> Iterator[FarAway | None]:
        """What a hybrid makes of points far from the data, in pieces: None after each, all at the end, of the hybrid as
        it is at the first."""
        hybrid, step = copy.deepcopy(self._trainer.evaluated_model), self.step_count
        for found in measure.far(hybrid, self._trainer.dataset.window, self._trainer.dataset.held_out()):
            yield found and FarAway(step, found)

    def inversion(self, demand: ViewRequest) -> Iterator[Inversions | None]:
        """In pieces: None after each, all at the end, of the flow as it is at the first."""
        flow, step, wanted = copy.deepcopy(self._trainer.evaluated), self.step_count, demand.inversion
        # A page that has just chosen a flow with fewer blocks may still ask for one that it has not.
        block = None if wanted.block is None else min(wanted.block, flow.config.blocks - 1)
        scale = demand.scaled.scale if demand.scaled and demand.scaled.block == block else 1.0
        points = self._trainer.dataset.held_out()[: demand.points]
        begun = self._clock()
        for found in measure.inversion(flow, points, block, scale, wanted.z, wanted.method):
            if found is not None:
                yield Inversions(step, wanted, demand.scaled, found)
            elif self._clock() - begun > PIECE_SECONDS:
                yield None
                begun = self._clock()

    def activity(self, demand: ViewRequest) -> Iterator[Activity | None]:
        """In pieces: None after each, all at the end, of the flow as it is at the first."""
        looked_at, step, dataset = self._looked_at(demand), self.step_count, self._trainer.dataset
        # Like all curves of training, that of the gradients goes on without what is only looked at.
        flow, trains = copy.deepcopy(looked_at), looked_at is self._trainer.evaluated
        only_gradients = demand.activity == "gradients"
        points = dataset.held_out()[: GRADIENT_POINTS if only_gradients else ACTIVITY_POINTS]
        saturation = share = None
        if not only_gradients:
            saturation = yield from measure.awaited(measure.saturation(flow, points))
            nodes = measure.grid_points(dataset.window, ACTIVITY_GRID)
            share = yield from measure.awaited(measure.saturation_map(flow, nodes))
            share = share.reshape(ACTIVITY_GRID, ACTIVITY_GRID).astype(np.float32)
        split = yield from measure.awaited(measure.gradient_split(flow, points))
        if trains:
            self._history.add_split(step, split.blocks.log_det, split.blocks.base)
        yield Activity(
            step, len(points), saturation, share, dataset.window, split, *self._history.splits(len(flow.blocks))
        )

    def export(self) -> bytes:
        """The flow as a file."""
        return flow_file.to_bytes(self._trainer.evaluated)

    def save(self) -> bytes:
        return pickle.dumps((self._trainer.state_bytes(), self.seconds, self._history))

    def restore(self, saved: bytes) -> None:
        """Go on from what `save` returned, with the settings as they are now."""
        state, self.seconds, self._history = pickle.loads(saved)
        self._trainer.load_state(state)

    def _note_held_out(self, log_prob: Tensor, **further: Any) -> None:
        truth = self._true_log_prob
        kl = None if truth is None else measure.kl(truth, log_prob)
        nll = measure.mean_nll(log_prob)
        new = HeldOut(self.step_count, nll, kl, seconds=self.seconds, **further)
        self._history.add_held_out(new, self._classified())

    def _classified(self) -> measure.Classification | None:
        """How well a hybrid tells held-out points apart."""
        if (hybrid := self._hybrid) is None:
            return None
        dataset = self._trainer.dataset
        return measure.classification(measure.log_class_probs(hybrid, dataset.held_out()), dataset.held_out_classes())

    @property
    def _hybrid(self) -> Hybrid | None:
        model = self._trainer.evaluated_model
        return model if isinstance(model, Hybrid) else None

    @cached_property
    def _true_log_prob(self) -> Tensor | None:
        """Of the held-out points."""
        dataset = self._trainer.dataset
        return dataset.truth and dataset.truth.log_prob(dataset.held_out())

    def _looked_at(self, demand: ViewRequest) -> Flow:
        """The flow, with one branch scaled where that is asked for: a page that has just chosen a flow with fewer
        blocks may still ask for one that it has not."""
        flow, scaled = self._trainer.evaluated, demand.scaled
        if scaled is None or scaled.block >= flow.config.blocks:
            return flow
        return flow.scaled(scaled.block, scaled.scale)

    def _render(self, flow: Flow, demand: ViewRequest, density: np.ndarray, **how: bool) -> Frame:
        frame = render(flow, self._trainer.dataset, demand, density, step=self.step_count, **how)
        return frame if self._hybrid is None else classed(self._hybrid, frame, self._trainer.dataset.window)


def checked(flow: AnyConfig, train: TrainConfig) -> TrainConfig:
    """The same settings, once they passed the checks that unpickling skips, and that of memory. Raises ValueError."""
    train = replace(train)
    if (needed := step_bytes(flow, train)) > MOST_STEP_BYTES:
        raise ValueError(
            f"One step would need about {needed / 2**30:.0f} GiB of memory; {MOST_STEP_BYTES / 2**30:.0f} are allowed. "
            "Lower the batch, the probes, the blocks or the width, or let the series have fewer terms."
        )
    return train


def _dataset(data: str | Dataset) -> Source:
    if not isinstance(data, str):
        return data
    if data == DIGITS_NAME:
        return DIGITS
    if data not in DATASETS:
        raise ValueError(f"data = {data!r}: use one of {', '.join(DATASETS)}.")
    return DATASETS[data]


def _weights(saved: bytes, config: FlowConfig) -> dict[str, Tensor]:
    flow = flow_file.from_bytes(saved, config.dim)
    for name in (field.name for field in fields(config)):
        there, here = getattr(flow.config, name), getattr(config, name)
        if there != here:
            raise ValueError(f"The saved flow has {name} = {there!r}, this run {here!r}: use the settings of the file.")
    return flow.state_dict()
