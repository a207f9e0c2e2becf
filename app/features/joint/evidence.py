"""The stored answers of this screen: trained once as the page trains them, and read as the page reads what it has just
trained."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from app.engine.commands import ViewRequest
from app.engine.reports import ArmReport, LossCurves
from app.engine.training.measurements.far import FarAway, Wide
from app.evidence import Evidence, Made, Stored
from app.evidence.training import backend_of, one_thread, trained
from app.features.joint import answers
from app.features.joint.arms import Contestant, grid, pair
from app.features.joint.few_labels import NOISE_SEED, UNTOLD, FewLabels, accuracy
from app.features.joint.numbers import Claim, Told, Unseen, claim, unseen
from app.features.joint.settings import WEIGHTS, Joint
from app.quantise import packed
from app.setup import Setup
from app.takeaway.of_labels import FewTold
from app.ui import bands
from app.ui.bands import Groups
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.measure import Classification, Estimate, Far
from resflow_core.measure.reliability import Reliability
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig

FAR, COSTS, LABELS = "joint-far", "joint-costs", "joint-labels"
STEPS, SEEDS = 600, 3
SMALL_STEPS, SMALL_SEEDS = 200, 1
MOST_POINTS = 20  # of a curve
CURVES = ("held_step", "held_seconds", "held_nll", "held_se", "held_accuracy", "held_class_nll", "held_ece")
FLOW, TRAIN = FlowConfig(blocks=10), TrainConfig(batch=256, horizon=512)
FAR_SETUP, COSTS_SETUP = (Setup(data=data, flow=FLOW, train=TRAIN) for data in ("noisymoons", "checkerboard"))
BENCH = Joint(seeds=SEEDS, steps=STEPS)
SETS = (("moons", 10, 0), ("moons", 10, 8), ("2spirals", 40, 0))
"""Data, how many labels are told, and how many coordinates of noise."""
LABELS_FLOW, LABELS_SEEDS = FlowConfig(blocks=8), 5


def make_far(small: bool) -> Made:
    """The flow with its classifier and a plain classifier, and what both make of points far from the data."""
    return _made(FAR_SETUP, pair(FAR_SETUP, BENCH), small, ViewRequest(frames=False, measured={"far": True}))


def make_costs(small: bool) -> Made:
    """Every weight of the paper, of a residual flow and of RealNVP."""
    return _made(COSTS_SETUP, grid(COSTS_SETUP, BENCH), small, ViewRequest(frames=False))


def make_labels(small: bool) -> Made:
    """Hybrids that are told few classes, at weights of their density, on data on which it may help."""
    steps, seeds = (SMALL_STEPS, SMALL_SEEDS) if small else (STEPS, LABELS_SEEDS)
    weights = (0.0, 1.0) if small else WEIGHTS
    with one_thread():
        found = [
            {
                "data": name,
                "labels": labels,
                "noise": noise,
                "by_weight": [
                    [_with_few(name, labels, noise, weight, steps, seed, seeds) for seed in range(seeds)]
                    for weight in weights
                ],
            }
            for name, labels, noise in SETS
        ]
    settings = {"steps": steps, "flow": repr(LABELS_FLOW), "batch": TRAIN.batch, "weights": weights}
    return Made({"weights": weights, "sets": found}, settings, tuple(range(seeds)), "torch")


def _with_few(name: str, labels: int, noise: int, weight: float, steps: int, seed: int, seeds: int) -> float:
    """Accuracy in per cent where each seed is told other points, and none is judged at those of any seed."""
    toy: Any = DATASETS[name]
    data = FewLabels(toy, labels, seed * labels, noise)
    return accuracy(data, LABELS_FLOW, _few_train(weight, steps), steps, seed, seeds * labels)


def _few_train(weight: float, steps: int) -> HybridTrainConfig:
    return HybridTrainConfig(batch=TRAIN.batch, horizon=steps, weight=weight)


def few_told(stored: Stored, at: int = 0, weight: float = 1.0, seed: int = 0) -> FewTold:
    """A cell of what is stored, as a program repeats it: set number `at`, one of the weights and one of the seeds."""
    found, steps, seeds = stored.found, stored.settings["steps"], len(stored.seeds)
    one = found["sets"][at]
    return FewTold(
        data=one["data"],
        labels=one["labels"],
        noise=one["noise"],
        seed=seed,
        seeds=seeds,
        flow=LABELS_FLOW,
        train=_few_train(weight, steps),
        steps=steps,
        untold=UNTOLD,
        noise_seed=NOISE_SEED,
        accuracy=one["by_weight"][list(found["weights"]).index(weight)][seed],
    )


def read_labels(found: Mapping[str, Any]) -> tuple[Told, ...]:
    """What was stored of classifiers that are told few classes."""
    return tuple(
        Told(
            DATASETS[one["data"]].title,
            one["labels"],
            one["noise"],
            {weight: tuple(values) for weight, values in zip(found["weights"], one["by_weight"], strict=True)},
        )
        for one in found["sets"]
    )


def _made(setup: Setup, found: Sequence[Contestant], small: bool, request: ViewRequest) -> Made:
    steps, seeds = (SMALL_STEPS, SMALL_SEEDS) if small else (STEPS, SEEDS)
    wanted = {one.label: one.arm for one in found}
    arms = trained(list(bands.seeded(wanted, setup.seed, seeds).values()), steps, request)
    groups = bands.grouped(list(wanted), arms, seeds)
    return Made(
        {label: [_kept(arm, k == 0) for k, arm in enumerate(of)] for label, of in groups.items()},
        {"data": setup.data, "steps": steps, "arms": {label: repr(arm) for label, arm in wanted.items()}},
        tuple(range(setup.seed, setup.seed + seeds)),
        backend_of(arms),
    )


def _kept(arm: ArmReport, is_first: bool) -> dict[str, Any]:
    """The map of the plane of the first seed alone."""
    loss: Any = arm.loss
    at = np.unique(np.linspace(0, len(loss.held_step) - 1, MOST_POINTS).round().astype(int))
    found = {
        "step": arm.step,
        "seconds": arm.seconds,
        "curves": {name: getattr(loss, name)[at] for name in CURVES},
    }
    if far := arm.found(FarAway):
        found |= {"far": asdict(far.found), "classified": _classified(loss.classified)}
        if is_first and far.wide:
            found["wide"] = _packed(far.wide)
    return found


def _classified(found: Classification) -> dict[str, Any]:
    """NaN, which JSON has not, as None."""
    curve = {
        name: [None if value != value else value for value in values.tolist()] if np.ndim(values) else float(values)
        for name, values in asdict(found.reliability).items()
    }
    return {"accuracy": asdict(found.accuracy), "nll": asdict(found.nll), "reliability": curve}


def _packed(wide: Wide) -> dict[str, Any]:
    """Densities with as many levels as eyes have use for: their square roots as bytes."""
    root = np.rint(255 * np.sqrt(wide.density / 65535)).astype(np.uint8)
    maps = {"likeliest": wide.likeliest, "confidence": wide.confidence, "density": root}
    return {
        "window": wide.window,
        "largest": wide.largest,
        "top": wide.top,
        "maps": {name: packed(values) for name, values in maps.items()},
    }


def groups_of(found: Mapping[str, Any]) -> Groups:
    """What was stored, as the reports of arms that have just been trained."""
    return {label: [_report(arm) for arm in arms] for label, arms in found.items()}


def _report(kept: Mapping[str, Any]) -> ArmReport:
    curves = {
        name: np.array(values, np.int64 if name == "held_step" else np.float32)
        for name, values in kept["curves"].items()
    }
    none = np.empty(0, np.float32)
    rest = {field.name: none for field in fields(LossCurves) if field.name not in (*curves, "classified", "orders")}
    classified = _read_classified(kept["classified"]) if "classified" in kept else None
    loss = LossCurves(**curves, **rest, orders=np.empty((0, 0, 0), np.float32), classified=classified)
    measured: dict[type, Any] = {}
    if "far" in kept:
        values = _arrays(kept["far"])
        measured[FarAway] = FarAway(kept["step"], Far(**values), _unpacked(kept["wide"]) if "wide" in kept else None)
    return ArmReport(kept["step"], 0.0, kept["seconds"], loss=loss, measured=measured)


def _arrays(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as arrays, None in them as NaN."""
    return {name: np.array(of, float) if isinstance(of, Sequence) else of for name, of in kept.items()}


def _read_classified(kept: Mapping[str, Any]) -> Classification:
    curve = Reliability(**_arrays(kept["reliability"]))
    return Classification(Estimate(**kept["accuracy"]), Estimate(**kept["nll"]), curve)


def _unpacked(kept: Mapping[str, Any]) -> Wide:
    def read(name: str) -> np.ndarray:
        told = kept["maps"][name]
        return np.frombuffer(base64.b64decode(told["base64"]), told["dtype"]).reshape(told["shape"])

    density = np.rint(65535 * (read("density") / 255.0) ** 2).astype(np.uint16)
    window: Any = tuple(tuple(side) for side in kept["window"])
    return Wide(window, read("likeliest"), read("confidence"), density, kept["largest"], kept["top"])


def read_far(found: Mapping[str, Any]) -> tuple[Unseen, ...]:
    """What was stored of points far away, seed by seed."""
    hybrid, plain = pair(FAR_SETUP, BENCH)
    groups = groups_of(found)
    pairs = zip(groups[hybrid.label], groups[plain.label], strict=True)
    found_far = (unseen(ours, theirs, hybrid.weight) for ours, theirs in pairs)
    return tuple(one for one in found_far if one)


def accuracies_far(found: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Shares of held-out points that the flow's classifier and the plain one had right in the end, seed by seed."""
    hybrid, plain = ([one["curves"]["held_accuracy"][-1] for one in found[of.label]] for of in pair(FAR_SETUP, BENCH))
    return hybrid, plain


def read_costs(found: Mapping[str, Any]) -> Claim:
    """What the density was found to cost each classifier."""
    return claim(grid(COSTS_SETUP, BENCH), groups_of(found), BENCH.peer)


EVIDENCE = {
    FAR: Evidence(make_far, lambda found: answers.tells(read_far(found))),
    COSTS: Evidence(make_costs, lambda found: answers.costs_claims(read_costs(found))),
    LABELS: Evidence(make_labels, lambda found: answers.labels_claims(read_labels(found))),
}
