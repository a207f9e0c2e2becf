"""What can be set on the Dimensions screen but for its measurement of memory, as one frozen value."""

from dataclasses import dataclass
from typing import ClassVar

from app.setup import View
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Roulette
from resflow_core.measure.scaling import DIMS, Plan
from resflow_core.settings import check, setting
from resflow_core.training.trainer import TrainConfig

DIMENSIONS = "dimensions."
"""What the names of its settings begin with in links."""

VIEWS: dict[str, View] = {
    "scaling": View("Exact or estimate"),
    "memory": View("What a gradient costs"),
    "digits": View("Digits, d = 64"),
}


@dataclass(frozen=True)
class Start:
    """Where the flow on the digits begins."""

    title: str


STARTS = {"stored": Start("The stored flow"), "scratch": Start("From scratch")}


@dataclass(frozen=True)
class Largest:
    """The largest dimension that is measured."""

    title: str


LARGEST = {str(d): Largest(str(d)) for d in DIMS[1:]}


@dataclass(frozen=True)
class Dimensions:
    """Where training on the digits begins, and what is measured against the dimension."""

    view: str = setting("digits", "View", choices=VIEWS)
    start: str = setting("stored", "Begin with", "The stored flow was trained before.", choices=STARTS)
    largest: str = setting(
        str(DIMS[-1]), "Largest d", "Powers of two up to this dimension are measured.", choices=LARGEST
    )
    blocks: int = setting(2, "Blocks", "Blocks of the flow that is measured.", low=1, high=8)
    width: int = setting(64, "Width", "Units in each block's hidden layer, in every dimension.", low=8, high=256)
    batch: int = setting(64, "Batch", "Points per step.", low=8, high=256)
    shared: bool = setting(
        False, "One N per batch", "As in released code: fewer products, but noise that a batch does not average out."
    )

    SCALING: ClassVar[tuple[str, ...]] = ("largest", "blocks", "width", "batch", "shared")

    def __post_init__(self):
        check(self)

    @property
    def plan(self) -> Plan:
        """What the second view measures."""
        estimate = Roulette(probe="rademacher", gradient="neumann", shared=self.shared)
        return Plan(
            FlowConfig(blocks=self.blocks, width=self.width, activation="sine", budget=0.97),
            TrainConfig(log_det=estimate, batch=self.batch),
            tuple(d for d in DIMS if d <= int(self.largest)),
        )
