"""The stored answers of this screen: time and noise against the dimension, and bytes of four ways to differentiate."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from app.engine.training.job_records import Scaling
from app.evidence import Evidence, Made
from app.evidence.training import one_thread
from app.features.dimensions import answers
from app.features.dimensions.settings import Dimensions
from resflow_core.data.copies import Copies
from resflow_core.data.curves import MOONS
from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS
from resflow_core.measure import AtDim, Estimate, by_dim
from resflow_core.measure.memory import LEAST_DRAWS
from resflow_core.measure.scaling import Plan, Subject
from resflow_core.measure.survey import NOTHING, Place, Subjects, SurveyPlan
from resflow_core.training.trainer import Trainer

CROSSING, MEMORY = "dimensions-crossing", "dimensions-memory"
SEEDS = (21, 22, 23)
HIGH = 64
"""The dimension of which the sentence tells."""
TRAINED_STEPS, DRAWS, POINTS = 300, 48, 64
SMALL_DIMS, SMALL_STEPS = (2, 64), 60
PLAN = Dimensions().plan
BLOCKS, TERMS, WIDTH = 8, 10, 256
ROWS, SMALL_ROWS = (64, 128, 256), (64, 128)
"""Points of a batch for which bytes are counted."""


def make_crossing(small: bool) -> Made:
    """Time and noise of a training step against d, and how far one estimate of log p(x) is off in 64 dimensions."""
    seeds = SEEDS[:1] if small else SEEDS
    plan = replace(PLAN, dims=SMALL_DIMS) if small else PLAN
    steps = SMALL_STEPS if small else TRAINED_STEPS
    with one_thread():
        runs = [[_row(_measured(plan, dim, seed)) for dim in plan.dims] for seed in seeds]
        strays = [stray(plan, seed, steps) for seed in seeds]
    settings = {
        "timed": "CPU time of one thread: loss and gradient of one batch, median of each seed",
        "plan": repr(plan),
        "stray": f"{steps} training steps at d = {HIGH}; {DRAWS} estimates of log p(x) at {POINTS} held-out points",
        "torch": torch.__version__,
    }
    return Made({"runs": runs, "stray": strays}, settings, seeds, f"torch {torch.__version__}, one thread")


def _measured(plan: Plan, dim: int, seed: int) -> AtDim:
    subject = Subject(plan, dim, seed)
    (found,) = by_dim([subject.piece(k) for k in range(plan.exact_steps + plan.estimates)])
    return found


def _row(at: AtDim) -> list[Any]:
    pairs = [[found.value, found.standard_error] for found in (at.variance, at.sampling) if found]
    return [at.dim, at.exact_seconds, at.estimate_seconds, *pairs]


@torch.no_grad()
def stray(plan: Plan, seed: int, steps: int) -> float:
    """The root mean square error of one estimate of log p(x), in nats, in `HIGH` dimensions, of a trained flow."""
    data = Copies(MOONS, HIGH)
    flow = replace(plan.flow, dim=HIGH)
    with torch.enable_grad():
        trainer = Trainer(flow, replace(plan.train, horizon=max(steps, 64)), data, seed, exact_losses=False)
        for _ in range(steps):
            trainer.step()
    x, draws = data.held_out()[:POINTS], torch.Generator().manual_seed(seed)
    exact = trainer.evaluated.log_prob(x)
    errors = [trainer.evaluated.log_prob(x, plan.train.log_det, draws) - exact for _ in range(DRAWS)]
    return float(torch.stack(errors).double().square().mean().sqrt())


@dataclass(frozen=True)
class Crossed:
    """What was measured against the dimension: medians over the seeds, each seed by itself, and how far one estimate of
    log p(x) is off in `HIGH` dimensions, in nats."""

    found: Scaling
    runs: tuple[Scaling, ...]
    stray: float


def read_crossing(found: Mapping[str, Any]) -> Crossed:
    """What was stored of time and noise, as the page has what it has just measured."""
    runs = [tuple(_at(row) for row in run) for run in found["runs"]]
    medians = tuple(_median(at) for at in zip(*runs, strict=True))
    return Crossed(_scaling(medians), tuple(_scaling(run) for run in runs), statistics.fmean(found["stray"]))


def _scaling(found: tuple[AtDim, ...]) -> Scaling:
    return Scaling(len(found), len(found), found)


def _at(row: list[Any]) -> AtDim:
    dim, exact, estimate, variance, sampling = row
    return AtDim(int(dim), exact, estimate, Estimate(*variance), Estimate(*sampling))


def _median(at: tuple[AtDim, ...]) -> AtDim:
    def of(values: Any) -> float:
        return statistics.median(map(values, at))

    def estimate(name: str) -> Estimate:
        found = [getattr(one, name) for one in at]
        return Estimate(
            *(statistics.median(getattr(one, part) for one in found) for part in ("value", "standard_error"))
        )

    times = (of(lambda one: one.exact_seconds), of(lambda one: one.estimate_seconds))
    return AtDim(at[0].dim, *times, estimate("variance"), estimate("sampling"))


def make_memory(small: bool) -> Made:
    """Peak bytes of the log det by each way to differentiate it, for batches of several sizes."""
    with one_thread():
        found = {str(rows): _bytes(rows) for rows in (SMALL_ROWS if small else ROWS)}
    settings = {
        "dim": HIGH,
        "blocks": BLOCKS,
        "terms": TERMS,
        "width": WIDTH,
        "counted": "peak bytes of all tensors of one pass, less those of the same loss without a log det",
    }
    return Made({"bytes": found}, settings, (), f"torch {torch.__version__}")


def memory_flow() -> FlowConfig:
    """The flow whose bytes are counted."""
    return FlowConfig(dim=HIGH, blocks=BLOCKS, width=WIDTH, activation="lipswish", budget=0.97)


def _bytes(rows: int) -> dict[str, int]:
    plan = SurveyPlan(memory_flow(), rows, TERMS, LEAST_DRAWS)
    subjects, sized = Subjects(plan), plan.sized
    places = {NOTHING: Place(NOTHING, 0, BLOCKS)} | {name: Place(name, TERMS, BLOCKS) for name in GRADIENTS}
    peaks = {}
    for name, place in places.items():
        footprint: Any = subjects.piece(sized.index(place))
        peaks[name] = footprint.peak
    return {name: peaks[name] - peaks[NOTHING] for name in GRADIENTS}


def read_memory(found: Mapping[str, Any]) -> dict[int, dict[str, float]]:
    """Bytes by way, by the points of the batch."""
    return {int(rows): dict(of) for rows, of in found["bytes"].items()}


EVIDENCE = {
    CROSSING: Evidence(make_crossing, lambda found: answers.crossing_claims(read_crossing(found))),
    MEMORY: Evidence(make_memory, lambda found: answers.memory_claims(read_memory(found))),
}
