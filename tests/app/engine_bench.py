"""Runs on a clock that only work moves: a floor whose runs have their turns in one thread, as their threads would take
them."""

import json
import math
import pickle
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from app.engine.clocks import Clocks
from app.engine.commands import Poll, ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.reports import Checkpoint, Exported, Frame, HandedOut, Report
from app.engine.training import views
from app.engine.training.history import History
from app.engine.training.measurements.inversion import Inversions
from app.engine.training.measurements.masses import Masses
from app.engine.training.weights import Weights
from app.engine.worker.floor import Floor
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import Diverged, TrainConfig

FRAME_COST, PIECE_COST, MASS_PIECES, INVERSION_PIECES, WEIGHTS_COST = 0.02, 0.01, 12, 20, 0.0002
EXPERIMENT = Experiment((Arm(FlowConfig(), TrainConfig(batch=500), "moons"),), seed=0)
BLIND = ViewRequest(frames=False)
PAGE = ViewRequest(measured={"masses": True})
DRAWS = ViewRequest(frames=False, weights=True)


def with_train(**settings):
    return Experiment((Arm(FlowConfig(), TrainConfig(**settings), "moons"),), seed=0)


class FakeJob:
    """Work of known cost: a batch of b points takes b / 100,000 s; a learning rate of 0.1 diverges at step 50."""

    device = "cpu"
    device_reason = ""
    fingerprint = why_torch = ""
    hastens, has_weights = False, True

    def __init__(self, arm, seed, device, clock, breathe):
        self.arm, self.train = arm, arm.train
        self._clock = clock if isinstance(clock, Clock) else Clock()
        self.step_count, self.seconds = 0, 0.0

    def configure(self, train):
        self.train = train

    def step(self, breathe):
        if self.train.learning_rate == 0.1 and self.step_count == 49:
            raise Diverged("Lower the learning rate.")
        if self.train.learning_rate == 0.05:
            raise TypeError("a bug")
        self._clock.now += self.train.batch / 100_000
        self.step_count += 1

    def hand_over_parts(self):
        return None

    def measure_held_out(self, request, breathe):
        self._clock.now += FRAME_COST
        return "blocks"

    def export(self):
        return b"flow"

    def curves(self):
        return History().curves()

    def frame(self, request, breathe):
        self._clock.now += FRAME_COST
        empty = np.empty((0, 2), np.float32)
        return Frame(self.step_count, empty, empty, empty, empty if request.samples else None)

    def weights(self, request):
        self._clock.now += WEIGHTS_COST
        return Weights(self.step_count, json.dumps({"edited": request.edited and request.edited.scale}), np.zeros(3))

    def save(self):
        return pickle.dumps(self.step_count)

    def restore(self, saved):
        self.step_count = pickle.loads(saved)


def in_parts(count, cost, record):
    """A measurement in so many parts, each of known cost."""

    def measure(job, request, wanted, breathe):
        step = job.step_count
        for _ in range(count):
            job._clock.now += cost
            breathe()
        return record(job, request, wanted, step)

    return measure


def masses_of(cells):
    return in_parts(MASS_PIECES, PIECE_COST, lambda job, r, wanted, step: Masses(step, job.train.log_det, cells, None))


COSTS = {
    "masses": {"measure": masses_of("rough"), "at_rest": masses_of("fine")},
    "inversion": {
        "measure": in_parts(
            INVERSION_PIECES, PIECE_COST, lambda job, r, wanted, step: Inversions(step, wanted, r.edited, None)
        )
    },
}


def measurements_of_known_cost(monkeypatch):
    for view, measurement in views.MEASURED.items():
        monkeypatch.setitem(views.MEASURED, view, replace(measurement, **COSTS.get(view.name, {})))


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self):
        return self.now


@dataclass
class Bench:
    """A floor, its clock (a `Clock`, or a real one with real jobs) and all that its runs said. A run has a turn when
    its thread would: once it is woken, or the time has come that it said. So who sleeps wrongly does so here as
    well."""

    clock: Any = field(default_factory=Clock)
    attendance: Any = None
    job: Any = FakeJob
    how: dict = field(default_factory=dict)
    said: list[Report | Checkpoint | HandedOut | Exported] = field(default_factory=list)

    def __post_init__(self):
        clocks = Clocks(self.clock, self.attendance or self.clock, self.clock)
        self.runs, self.next = {}, {}
        self.floor = Floor(self.said.append, self.begin, clocks, new_job=self.job, **{"memory": lambda: 0} | self.how)

    def begin(self, run):
        self.runs[run.id], self.next[run.id] = run, 0.0

    def do(self, *commands):
        for command in commands:
            self.floor.handle(command)

    def tick(self):
        """A turn for each run that is awake, and whether there was one."""
        self.floor.look_around()
        was_awake = False
        for id, run in [*self.runs.items()]:
            if run._woken.is_set() or self.clock() >= self.next.get(id, 0.0):
                run._woken.clear()
                self.next[id] = self.clock() + run.turn()
                was_awake = True
            if run.has_ended:
                del self.runs[id]
        return was_awake

    def run(self, seconds, demands=None):
        """Work for `seconds`, polling each id of `demands` once a second."""
        end, polled = self.clock.now + seconds, -1.0
        while self.clock.now < end:
            if demands and self.clock.now >= polled + 1:
                polled = self.clock.now
                self.do(*(Poll(id, demand) for id, demand in demands.items()))
            before = self.clock.now
            if not self.tick() or self.clock.now == before:
                self.clock.now += 0.001

    @property
    def is_busy(self):
        """Whether a run is awake that has something to do."""
        return any(self.next.get(id, 0.0) < math.inf or run._woken.is_set() for id, run in self.runs.items())

    def last(self, id):
        return next(m for m in reversed(self.said) if isinstance(m, Report) and m.id == id)

    def steps(self, id):
        return next(m for m in reversed(self.said) if isinstance(m, Report) and m.id == id and m.arms).arms[0].step

    def found(self, id, record):
        """All such records, in the order in which they were said."""
        arms = (a for m in self.said if isinstance(m, Report) and m.id == id for a in m.arms)
        return [found for arm in arms if (found := arm.found(record))]

    def masses(self, id):
        return self.found(id, Masses)

    def handed_out(self, id):
        """The steps of its weights, in the order in which they were said."""
        return [m.step for m in self.said if isinstance(m, HandedOut) and m.id == id]

    def frames(self, id):
        return [f for m in self.said if isinstance(m, Report) and m.id == id for a in m.arms if (f := a.frame)]

    def job_of(self, id):
        return self.runs[id].job


def with_places(n, attendance=None):
    """A bench with memory for n runs."""
    bench = Bench(attendance=attendance, how={"memory_limit": n, "memory": lambda: held(bench)})
    return bench


def held(bench):
    return sum(run.admitted and not run.has_ended for run in bench.runs.values())
