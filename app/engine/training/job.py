"""One arm at work: a trainer, its losses and its pictures. Whoever owns it decides when each is worth its time."""

import copy
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from torch import Tensor

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm
from app.engine.reports import Frame, LossCurves
from app.engine.training.backends import BEGAN_SO, TORCH, TORCH_ALONE, Backends
from app.engine.training.frames import classed, render
from app.engine.training.history import HeldOut, History
from app.engine.training.job_records import DIGITS as DIGITS_NAME
from app.engine.training.step_picture import MOST_POINTS, StepPicture, picture_of
from app.engine.training.weights import MOST_BYTES, Weights
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.breathe import Breathe, without
from resflow_core.data import DATASETS, Dataset, Source
from resflow_core.data.digits import DIGITS
from resflow_core.flow import Flow, FlowConfig
from resflow_core.hybrid import Hybrid
from resflow_core.log_det import LogDet
from resflow_core.measure import Estimate
from resflow_core.training import compilation
from resflow_core.training.device import choose
from resflow_core.training.step_parts import TakenStep, recorded, take_step
from resflow_core.training.step_work import affords_exact_losses, points_a_part
from resflow_core.training.trainer import AnyConfig, TrainConfig, Trainer, step_bytes

# Each setting has its own limit; together they could still ask for more than the machine has.
MOST_STEP_BYTES = 2 * 2**30


class Job:
    """Raises ValueError, naming value, limit and remedy, when `arm` does not describe a flow that can be trained."""

    def __init__(
        self,
        arm: Arm,
        seed: int,
        device: str,
        clock: Callable[[], float],
        backends: Backends = TORCH_ALONE,
        breathe: Breathe = without,
    ):
        dataset, flow = _dataset(arm.data), replace(arm.flow)  # replace() makes the checks that unpickling skipped
        train, *_ = [checked(flow, train) for train in (arm.train, *(train for _, train in arm.changes))]
        choice = choose(device, flow, train, dataset)
        self.device_reason = choice.reason
        weights = None if arm.weights is None else _weights(arm.weights, flow)

        def trainer(backend: str, breathe: Breathe) -> Trainer:
            """At step 0."""
            new = Trainer(flow, train, dataset, seed, choice.device, affords_exact_losses(flow), backend, breathe)
            if weights is not None:
                new.flow.load_state_dict(weights)
            return new

        self._backends = TORCH_ALONE if arm.by_torch else backends
        self._begun_by, self._new_trainer = self._backends.of_new_run(), trainer
        self._trainer = trainer(self._begun_by, breathe)
        self._config = flow
        self._torch_until = 0  # a step from which on kernels went on
        self._to_record: ViewRequest | None = None  # what the page wants to see of the next step
        self._parts: StepPicture | None = None
        self._shape = ""  # of the flow as it is trained, once it was asked for
        self.clock = clock
        self.history = History()
        self.seconds = 0.0

    @property
    def step_count(self) -> int:
        return self._trainer.step_count

    @property
    def device(self) -> str:
        return str(self._trainer.device)

    @property
    def fingerprint(self) -> str:
        """What its digits depend on, beside its settings."""
        return compilation.fingerprint(
            self._trainer.backend, self._config, self._trainer.train_config, self._torch_until
        )

    @property
    def why_torch(self) -> str:
        """Why torch computes what compiled kernels usually do; "" where they do, or before the first step."""
        if self._begun_by != TORCH or not self.step_count:
            return ""
        if not compilation.trains(self._config, self._trainer.train_config):
            return ""
        return self._backends.why_torch or (BEGAN_SO if self._backends.of_new_run() != TORCH else "")

    @property
    def hastens(self) -> bool:
        """Whether compiled kernels could go on with what torch began."""
        return bool(self.why_torch) and self._backends.of_new_run() != TORCH

    def hasten(self) -> None:
        """Let them, where they can."""
        if self.hastens:
            state = self._trainer.state_bytes()
            self._begin(self._backends.of_new_run())
            self._trainer.load_state(state)
            self._torch_until = self.step_count

    @property
    def flow(self) -> Flow:
        """What is looked at: the flow with averaged weights."""
        return self._trainer.evaluated

    @property
    def model(self) -> Any:
        """The same, or the hybrid that it is a part of."""
        return self._trainer.evaluated_model

    @property
    def dataset(self) -> Source:
        return self._trainer.dataset

    @property
    def log_det(self) -> LogDet:
        """How training gets it."""
        return self._trainer.train_config.log_det

    def looked_at(self, request: ViewRequest) -> Flow:
        """The flow, edited where that is asked for: a page that has just chosen a smaller flow may still ask for a
        block or a weight that it has not."""
        flow, edited = self.flow, request.edited
        return edited.of(flow) if edited is not None and edited.fits(flow.config) else flow

    def configure(self, train_config: TrainConfig) -> None:
        """Train with these settings, which are `checked`, from the next step on."""
        if train_config != self._trainer.train_config:
            self._trainer.configure(train_config)

    def step(self, breathe: Breathe = without) -> None:
        """Take one optimiser step, and record it if that was asked for. Raises `Diverged`.

        If `breathe` raises, the step ends there. Throw the job away then, or `restore` it.
        """
        start = self.clock()
        if self.step_count == 0:
            self._begin(self._backends.of_new_run(), breathe)
        request, self._to_record, self._parts = self._to_record, None, None
        taken = take_step(self._trainer, breathe) if request else None
        nll = taken.nll if taken else self._trainer.step(breathe=breathe)
        self.seconds += self.clock() - start
        self.history.add_batch(self.step_count, nll)
        if request and taken:
            self._parts = self._pictured(taken, request, breathe)

    def record_next_step(self, request: ViewRequest) -> None:
        self._to_record = request

    def hand_over_parts(self) -> StepPicture | None:
        parts, self._parts = self._parts, None
        return parts

    def _pictured(self, taken: TakenStep, request: ViewRequest, breathe: Breathe) -> StepPicture:
        dataset: Any = self.dataset
        window = dataset.window
        parts = recorded(taken, measure.grid_points(window, request.grid), MOST_POINTS, breathe)
        return picture_of(parts, taken.config.log_det, window, request.grid)

    def measure_held_out(self, request: ViewRequest, breathe: Breathe = without) -> measure.BlockTable | None:
        """Note the losses on held-out points, and return what each residual block does to these, where the flow has
        such. `breathe` takes no step of the job."""
        points, log_det, classified = self.dataset.held_out(), self.log_det, self._classified()
        new = partial(HeldOut, self.step_count, seconds=self.seconds)
        if not isinstance(self.flow, Flow):
            self.history.add_held_out(new(*self._losses(measure.log_prob(self.flow, points, breathe))), classified)
            return None
        flow = self.flow
        measure.constrain(flow, breathe)
        evaluation = measure.evaluate(flow, points, breathe)
        bias = measure.log_prob_bias(evaluation, log_det)
        learned = [branch.orders[:-1] for branch in flow.branches if branch.chain.learned]
        orders = np.array(learned) if learned else None
        self.history.add_held_out(new(*self._losses(evaluation.log_prob), bias, orders), classified)
        if (looked_at := self.looked_at(request)) is not flow:
            evaluation = measure.evaluate(looked_at, points, breathe)
        return measure.block_table(looked_at, evaluation, log_det, breathe)

    def curves(self) -> LossCurves:
        return self.history.curves()

    def frame(self, request: ViewRequest, breathe: Breathe = without) -> Frame | None:
        """A picture of the flow as it is at first, whatever steps `breathe` takes."""
        flow, step = self.looked_at(request), self.step_count
        if request.grid**2 > points_a_part(flow.config):
            flow = copy.deepcopy(flow)
            if isinstance(flow, Flow):
                measure.constrain(flow, breathe)
        frame = render(flow, self.dataset, request, step, breathe)
        return frame if self._hybrid is None else classed(self._hybrid, frame, self.dataset.window)

    @cached_property
    def has_weights(self) -> bool:
        """Whether a browser can draw it: a flow with a description, whose numbers are few. Classes of a hybrid are the
        server's."""
        flow = self.flow
        return self._hybrid is None and measure.is_portable(flow) and _numbers_bytes(flow) <= MOST_BYTES

    def weights(self, request: ViewRequest) -> Weights:
        """Folded, as `looked_at`."""
        return self.weights_of(self.looked_at(request), self.step_count)

    def weights_of(self, flow: Flow, step: int) -> Weights:
        """Those of the flow as it was after so many steps, or of another one that was made of it."""
        return Weights(step, self._description(flow), measure.folded_numbers(flow))

    def _description(self, flow: Flow) -> str:
        """JSON of the `flow_shape`, kept where training does not change it."""
        if flow is not self.flow or not self._has_fixed_bounds:
            return json.dumps(measure.flow_shape(flow))
        self._shape = self._shape or json.dumps(measure.flow_shape(flow))
        return self._shape

    @cached_property
    def _has_fixed_bounds(self) -> bool:
        """Whether the bounds of its blocks follow from its settings, whatever its weights are."""
        first: Any = self.flow.branches[0]
        return first.linears[0].constraint.certifies and first.raw_orders is None

    def export(self) -> bytes:
        """The flow as a file."""
        return flow_file.to_bytes(self.flow)

    def save(self) -> bytes:
        begun = self._begun_by, self._torch_until
        return pickle.dumps((begun, self._trainer.state_bytes(), self.seconds, self.history))

    def restore(self, saved: bytes) -> None:
        """Go on from what `save` returned, with the settings as they are now."""
        (begun_by, self._torch_until), state, self.seconds, self.history = pickle.loads(saved)
        self._to_record = self._parts = None
        self._begin(self._backends.of_saved_run(begun_by))
        self._trainer.load_state(state)

    def _begin(self, backend: str, breathe: Breathe = without) -> None:
        """Let this backend compute the run, from step 0 on or from where its state is loaded."""
        if backend != self._begun_by:
            train = self._trainer.train_config
            self._begun_by, self._trainer = backend, self._new_trainer(backend, breathe)
            self._trainer.configure(train)

    def _losses(self, log_prob: Tensor) -> tuple[Estimate, Estimate | None]:
        """The mean NLL of the held-out points, and the KL where their density is known."""
        truth = self._true_log_prob
        return measure.mean_nll(log_prob), None if truth is None else measure.kl(truth, log_prob)

    def _classified(self) -> measure.Classification | None:
        """How well a hybrid tells held-out points apart."""
        if (hybrid := self._hybrid) is None:
            return None
        probs = measure.log_class_probs(hybrid, self.dataset.held_out())
        return measure.classification(probs, self.dataset.held_out_classes())

    @property
    def _hybrid(self) -> Hybrid | None:
        return self.model if isinstance(self.model, Hybrid) else None

    @cached_property
    def _true_log_prob(self) -> Tensor | None:
        """Of the held-out points."""
        return self.dataset.truth and self.dataset.truth.log_prob(self.dataset.held_out())


def _numbers_bytes(flow: Flow) -> int:
    """The size of its `folded_numbers`, before they are folded."""
    linears: Any = flow.branches[0].linears
    of_block = 5 + sum(linear.raw.numel() + linear.bias.numel() for linear in linears)
    return 4 * (4 + flow.config.blocks * of_block)


def checked(flow: AnyConfig, train: TrainConfig) -> TrainConfig:
    """The same settings, once they passed the checks that unpickling skips, and that of memory. Raises ValueError."""
    train = replace(train)
    if (needed := step_bytes(flow, train)) > MOST_STEP_BYTES:
        raise ValueError(
            f"One step would need about {math.ceil(10 * needed / 2**30) / 10:g} GiB of memory, and "
            f"{MOST_STEP_BYTES / 2**30:.0f} are allowed. Lower the batch, the blocks, the width or the hidden "
            "layers."
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
            raise ValueError(
                f"The saved flow has {name} = {there!r}, and this run has {here!r}: use the settings of the file."
            )
    return flow.state_dict()
