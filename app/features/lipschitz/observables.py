"""One block's inverse, and a matrix between two norms."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from app.engine.measurements.inversion import Inversions
from app.features.lipschitz.induced import induced
from app.features.lipschitz.settings import Lipschitz
from app.lessons.expression import Unknown
from app.lessons.observables import Observable, blocks, known

if TYPE_CHECKING:
    from app.lessons.observables import Situation


def _inversion(at: "Situation") -> Any:
    """Of the flow and the bench as they stand."""
    found, bench = known(at.arm.found(Inversions)), at.bench(Lipschitz)
    if found.step != at.arm.step or found.scaled != bench.scaled(at.setup.flow.blocks):
        raise Unknown
    if (bench.block and found.found.block != bench.block - 1) or found.found.method != bench.method:
        raise Unknown
    return found.found


def _induced(at: "Situation", which: int) -> float:
    """A bound of the norm of the matrix on the bench, from above or from below."""
    bench = at.bench(Lipschitz)
    return induced(bench.matrix, bench.p, bench.q)[which]


INVERSION = {"inversion": lambda benches: benches[Lipschitz].inversion}

LIPSCHITZ: dict[str, Observable] = {
    "bound": Observable("the certified bound s L", lambda at: _inversion(at).lipschitz, wants=INVERSION),
    "smallest_det": Observable(
        "the smallest det(I + s A)", lambda at: float(_inversion(at).det.min()), wants=INVERSION
    ),
    "folds_at": Observable(
        "the scale at which it folds",
        lambda at: float(_inversion(at).breaking[_inversion(at).block]),
        wants=INVERSION,
    ),
    "preimages": Observable("x found for this z", lambda at: len(_inversion(at).preimages), wants=INVERSION),
    "iterations": Observable(
        "the most steps that the iteration takes",
        lambda at: float(np.nan_to_num(_inversion(at).steps, nan=math.inf).max()),
        "steps",
        wants=INVERSION,
    ),
    "block_norm": Observable(
        "the largest ‖sA‖ of this block seen",
        lambda at: float(blocks(at).largest_norm[_inversion(at).block]),
        wants=INVERSION,
    ),
    "block_radius": Observable(
        "the largest ρ(sA) of this block seen",
        lambda at: float(blocks(at).spectral_radius[_inversion(at).block]),
        wants=INVERSION,
    ),
    "refused": Observable("whether samples are refused", lambda at: bool(_inversion(at).refusal), wants=INVERSION),
    "norm_above": Observable("‖W‖ from p to q, at most", lambda at: _induced(at, 0)),
    "norm_below": Observable("‖W‖ from p to q, at least", lambda at: _induced(at, 1)),
}
