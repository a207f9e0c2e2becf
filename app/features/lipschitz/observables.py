"""One block's inverse, and a matrix between two norms."""

import math
from typing import TYPE_CHECKING

from app.engine.training.measurements.inversion import Inversions
from app.features.lipschitz.induced import Induced, induced
from app.features.lipschitz.numbers import Inverted, inverted
from app.features.lipschitz.settings import Lipschitz
from app.lessons.expression import Unknown
from app.lessons.observables import Observable, blocks, known

if TYPE_CHECKING:
    from app.lessons.observables import Situation


def _inverted(at: "Situation") -> Inverted:
    """Of the flow and the bench as they stand."""
    found, bench = known(at.arm.found(Inversions)), at.bench(Lipschitz)
    if found.step != at.arm.step or found.edited != bench.edited(at.setup.flow):
        raise Unknown
    if (bench.block and found.found.block != bench.block - 1) or found.found.method != bench.method:
        raise Unknown
    return inverted(found.found)


def _induced(at: "Situation") -> Induced:
    """The norm of the matrix on the bench."""
    bench = at.bench(Lipschitz)
    return induced(bench.matrix, bench.p, bench.q)


def _iterations(found: Inverted) -> float:
    """Infinite if there is a z from which the iteration does not arrive."""
    return math.inf if found.late else float(found.most_steps)


INVERSION = {"inversion": lambda benches: benches[Lipschitz].inversion}

LIPSCHITZ: dict[str, Observable] = {
    "bound": Observable("the certified bound s L", lambda at: _inverted(at).bound, wants=INVERSION),
    "smallest_det": Observable("the smallest det(I + s A)", lambda at: _inverted(at).smallest_det, wants=INVERSION),
    "folds_at": Observable("the scale at which it folds", lambda at: _inverted(at).folds_at, wants=INVERSION),
    "preimages": Observable("x found for this z", lambda at: _inverted(at).preimages, wants=INVERSION),
    "iterations": Observable(
        "the most steps that the iteration takes",
        lambda at: _iterations(_inverted(at)),
        "steps",
        wants=INVERSION,
    ),
    "block_norm": Observable(
        "the largest ‖sA‖ of this block seen",
        lambda at: float(blocks(at).largest_norm[_inverted(at).block]),
        wants=INVERSION,
    ),
    "block_radius": Observable(
        "the largest ρ(sA) of this block seen",
        lambda at: float(blocks(at).spectral_radius[_inverted(at).block]),
        wants=INVERSION,
    ),
    "refused": Observable("whether samples are refused", lambda at: bool(_inverted(at).refusal), wants=INVERSION),
    "norm_above": Observable("‖W‖ from p to q, at most", lambda at: _induced(at).upper),
    "norm_below": Observable("‖W‖ from p to q, at least", lambda at: _induced(at).lower),
}
