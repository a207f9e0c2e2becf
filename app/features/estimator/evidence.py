"""The stored answers of the screen: draws of the example, and where the variance is infinite on trained flows."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from app import examples
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm
from app.engine.training.measurements.jacobians import Jacobians
from app.estimates.hashed_jacobians import HashedJacobians
from app.estimates.maps import Field, field
from app.estimates.settings import Bench
from app.evidence import Evidence, Made
from app.evidence.training import backend_of, trained
from app.features.estimator import answers
from app.features.estimator.answers import OnPlane
from app.features.estimator.example import EXAMPLE
from app.features.estimator.numbers import ByHand, Tail, by_hand, places, remainders_of, running_mean
from app.features.estimator.sweeps import P
from app.features.estimator.verdicts import infinite_points
from app.quantise import Window, levels, packed
from resflow_core.data import DATASETS
from resflow_core.estimators.draws import draw_estimates
from resflow_core.estimators.moments import spectral_radius
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig

BY_HAND, PLANE = "estimator-by-hand", "estimator-plane"
SEEDS = (0, 1, 2)
HAND_SEEDS = (1, 2, 3)
"""Not those of the bench as it opens: draws on the page are others than these."""
KEPT = ("truth", "n_terms", "bias", "probe", "by_probe", "by_stopping", "other")
"""The fields of `ByHand` that are stored as they are."""
DRAWS, SMALL_DRAWS = 10_000, 2_000
DATA, STEPS, SMALL_STEPS = examples.DATA, 4_000, 300
FLOW, TRAIN = FlowConfig(), TrainConfig()
"""What the map on trained flows is of: with the first seed it is the flow that comes with the project."""
GRID, HELD_OUT, SHOWN = 80, 2000, 400
MOST_LEVEL = 254
INFINITE = 255


def make_by_hand(small: bool) -> Made:
    """Draws of the example from three seeds, beside its closed form."""
    size = SMALL_DRAWS if small else DRAWS
    found, at = by_hand(EXAMPLE, remainders_of(EXAMPLE)), places(size)
    means = [
        running_mean(draw_estimates(EXAMPLE.array, EXAMPLE.law, EXAMPLE.probe, size, seed).value, at)
        for seed in HAND_SEEDS
    ]
    kept = {name: getattr(found, name) for name in KEPT}
    return Made(
        {**kept, "radius": found.tail.radius, "ratio": found.tail.ratio, "draws": at, "means": means},
        {"matrix": EXAMPLE.matrix, "law": repr(EXAMPLE.law), "probe": EXAMPLE.probe},
        HAND_SEEDS,
        f"NumPy {np.__version__}",
    )


def read_by_hand(found: Mapping[str, Any]) -> ByHand:
    return ByHand(tail=Tail(found["radius"], found["ratio"]), **{name: found[name] for name in KEPT})


def last_means(found: Mapping[str, Any]) -> list[float]:
    """Of all draws, a seed each."""
    return [means[-1] for means in found["means"]]


def _claims_by_hand(found: Mapping[str, Any]) -> Mapping[str, bool]:
    return answers.hand_claims(read_by_hand(found), last_means(found), int(found["draws"][-1]))


def plane_bench() -> Bench:
    """What the map shows: one estimate of the paper's, of the whole flow."""
    return Bench(view="plane")


def make_plane(small: bool) -> Made:
    """Flows trained with the exact log det; where the roulette of the paper would have an infinite variance."""
    steps, seeds = (SMALL_STEPS, SEEDS[:1]) if small else (STEPS, SEEDS)
    request = ViewRequest(frames=False, points=HELD_OUT, measured={"jacobians": GRID})
    arms = trained([Arm(FLOW, TRAIN, DATA, seed=seed) for seed in seeds], steps, request)
    found = [one for arm in arms if (one := arm.found(Jacobians))]
    q = plane_bench().law.tail_ratio
    radii = [radius_of(one.points) for one in found]
    points = [infinite_points(radius, q) for radius in radii]
    drawn = field(HashedJacobians(found[0]), plane_bench())
    shown = DATASETS[DATA].held_out()[:SHOWN].numpy()
    return Made(
        {
            "shares": [one.share for one in points],
            "safe": [one.safe for one in points],
            "ratio": q,
            "by_p": [[float((radius**2 > 1 - p).mean()) for p in P] for radius in radii],
            "window": [list(side) for side in found[0].window],
            "map": _kept_map(drawn),
            "radius": packed(levels(drawn.radius, MOST_LEVEL).astype(np.uint8)),
            "points": np.round(shown, 3),
            "beyond": (radii[0][:SHOWN] ** 2 > q).astype(int),
        },
        {"data": DATA, "steps": steps, "flow": repr(FLOW), "train": repr(TRAIN), "law": repr(plane_bench().law)},
        seeds,
        backend_of(arms),
    )


def radius_of(jacobians: np.ndarray) -> np.ndarray:
    """The largest spectral radius of the blocks, at each point."""
    return spectral_radius(torch.as_tensor(jacobians).double()).amax(0).numpy()


def _kept_map(drawn: Field) -> dict[str, Any]:
    """The deviations as bytes between their ends."""
    finite = drawn.value[~drawn.infinite]
    low, high = (float(end) for end in np.quantile(finite, [0.01, 0.99]))
    shares = (np.nan_to_num(drawn.value) - low) / (high - low)
    level = np.where(drawn.infinite, INFINITE, levels(shares, MOST_LEVEL)).astype(np.uint8)
    return {"low": low, "high": high, "median": float(np.median(finite)), "level": packed(level)}


@dataclass(frozen=True, eq=False)
class StoredMap:
    """The map of the first seed, as it was stored."""

    window: Window
    deviation: np.ndarray  # (n, n), NaN where it is infinite
    low: float
    high: float
    median: float
    radius: np.ndarray  # (n, n)
    points: np.ndarray  # (m, 2) held-out points
    beyond: np.ndarray  # (m,) bool: where the variance is infinite in some block


def read_map(found: Mapping[str, Any]) -> StoredMap:
    kept = found["map"]
    level = _unpacked(kept["level"]).astype(float)
    n = round(len(level) ** 0.5)
    deviation = kept["low"] + level / MOST_LEVEL * (kept["high"] - kept["low"])
    deviation[level == INFINITE] = np.nan
    x, y = (tuple(side) for side in found["window"])
    return StoredMap(
        (x, y),
        deviation.reshape(n, n),
        kept["low"],
        kept["high"],
        kept["median"],
        (_unpacked(found["radius"]) / MOST_LEVEL).reshape(n, n),
        np.array(found["points"]),
        np.array(found["beyond"], bool),
    )


def _unpacked(kept: Mapping[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(kept["base64"]), kept["dtype"]).reshape(kept["shape"])


def read_plane(found: Mapping[str, Any]) -> OnPlane:
    return OnPlane(tuple(found["shares"]), tuple(found["safe"]), found["ratio"])


def _claims_plane(found: Mapping[str, Any]) -> Mapping[str, bool]:
    return answers.plane_claims(read_plane(found))


def with_paper(bench: Bench) -> Bench:
    """The bench with the estimator that the stored map is of."""
    paper = plane_bench()
    names = ("law", "probe", "n_probes", "n_draws", "map", "block")
    return replace(bench, **{name: getattr(paper, name) for name in names})


EVIDENCE = {
    BY_HAND: Evidence(make_by_hand, _claims_by_hand),
    PLANE: Evidence(make_plane, _claims_plane),
}
