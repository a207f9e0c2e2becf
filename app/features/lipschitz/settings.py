"""What can be set on the Lipschitz bench, as one frozen value. What belongs to the flow itself stands in its config."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from app.engine.training.measurements.inversion import InversionRequest
from app.features.lipschitz import changes
from app.numbers import matrix_texts, point_problem
from app.setup import View
from resflow_core.flow import FlowConfig
from resflow_core.measure import Change, Edited
from resflow_core.measure.inverse_iterations import ITERATIONS
from resflow_core.settings import check, setting, settings_of

LIPSCHITZ = "lipschitz."
"""What the names of its settings begin with in links."""

MOST_BLOCKS = int(settings_of(FlowConfig)["blocks"][1].high)

VIEWS: dict[str, View] = {
    "inverse": View("The inverse"),
    "weights": View("One weight"),
    "enforced": View("Enforced, certified, observed"),
    "budgets": View("The budget"),
    "norms": View("Norms"),
}


def matrix_problem(entries: tuple[float, ...]) -> str | None:
    """Why these are not the entries of a 2 x 2 matrix."""
    return None if len(entries) == 4 else f"use four numbers, row by row, not {len(entries)}."


@dataclass(frozen=True)
class Lipschitz:
    """Which block's inverse is looked at and broken, of which z, which of its weights are changed, and which matrix is
    measured in which norms."""

    view: str = setting("inverse", "View", choices=VIEWS)
    block: int = setting(
        0, "Block", "The block whose inverse is drawn and whose branch is scaled. 0: the one that folds first.",
        low=0, high=MOST_BLOCKS,
    )  # fmt: skip
    scale: float = setting(1.0, "Scale s", "The factor of this block's branch g.", low=0.1, high=20.0)
    weights: str = setting(
        "",
        "Changed weights",
        "In this block, before its constraint: w1.5.2=3 sets a weight of layer 1, b1.5=0.2 a bias, r1.5=2 scales a "
        "row.",
        high=changes.MOST_LETTERS,
        rule=changes.problem,
    )
    chosen: bool = setting(False, "Choose z", "Otherwise z is the point where the map folds first.")
    z: tuple = setting(
        (0.0, 0.0), "z", "The latent point for which x is sought.", low=-1000.0, high=1000.0, rule=point_problem
    )
    method: str = setting("banach", "Iteration", "The map shows the steps of this iteration.", choices=ITERATIONS)
    shapes: bool = setting(False, "Few deep blocks or many shallow ones", "At equal numbers of parameters.")
    matrix: tuple = setting(
        (1.0, 0.6, -0.4, 0.8), "W", "A linear map of the plane, row by row.", low=-99, high=99, rule=matrix_problem
    )
    # Below 1 the triangle inequality fails.
    p: float = setting(2.0, "From the norm of order p", "The norm of x.", low=1.0, high=math.inf)
    q: float = setting(2.0, "to that of order q", "The norm of Wx.", low=1.0, high=math.inf)

    ASIDE: ClassVar[tuple[str, ...]] = ("view", "shapes", "matrix", "p", "q")  # the screen opens with an inverse

    def __post_init__(self):
        check(self)

    def widget_texts(self, prefix: str) -> dict[str, Any]:
        """What the fields of the matrix hold."""
        return matrix_texts(self.matrix, prefix)

    @property
    def inversion(self) -> InversionRequest:
        """Whose inverse is asked for, of which z and by which iteration."""
        return InversionRequest(self.block - 1 if self.block else None, self.z if self.chosen else None, self.method)

    def whole(self) -> "Lipschitz":
        """The same, with no block edited."""
        return replace(self, scale=1.0, weights="")

    def with_trained_weights(self) -> "Lipschitz":
        """The same, with no weight changed."""
        return replace(self, weights="")

    @property
    def changes(self) -> tuple[Change, ...]:
        """Of the weights of the block."""
        return changes.read(self.weights)

    def edited(self, flow: FlowConfig) -> Edited | None:
        """What is made of a block in all that is looked at; None where that is nothing, or the flow has it not."""
        found = Edited(self.block - 1, self.scale, self.changes)
        is_edited = self.block > 0 and (self.scale != 1.0 or bool(found.changes))
        return found if is_edited and found.fits(flow) else None

    def misfit(self, flow: FlowConfig) -> str:
        """Why its changes of weights are of no such flow, as a sentence; "" where they are."""
        if not self.weights:
            return ""
        if not 0 < self.block <= flow.blocks:
            return f"`{LIPSCHITZ}weights` is of block {self.block}: use `{LIPSCHITZ}block` from 1 to {flow.blocks}."
        return changes.misfits(self.changes, flow)
