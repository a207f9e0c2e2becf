"""What is learned jointly, and how it is compared, as one frozen value."""

from dataclasses import dataclass
from typing import Any

from app.setup import View
from resflow_core.baselines.zuko_flows import BASELINES
from resflow_core.hybrid import HybridConfig
from resflow_core.settings import check, setting, settings_of
from resflow_core.training.trainer import HybridTrainConfig

JOINT = "joint."
"""What the names of its settings begin with in links."""

VIEWS: dict[str, View] = {"one": View("One flow"), "paper": View("As in the paper")}

DIM = 2
WEIGHTS = (0.0, 1 / DIM, 1.0)
"""The paper's: 0, 1/D and 1."""

LADDER = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Residual:
    title: str = "Residual flow"


FAMILIES: dict[str, Any] = {"residual": Residual(), **BASELINES}

_, _WEIGHT = settings_of(HybridTrainConfig)["weight"]
_, _WIDTH = settings_of(HybridConfig)["width"]


@dataclass(frozen=True)
class Joint:
    """The flow and its weight in one view; in the other a table of weights and flows, seeds and steps."""

    view: str = setting("one", "View", choices=VIEWS)
    weight: float = setting(1.0, "Weight λ", _WEIGHT.help, low=_WEIGHT.low, high=_WEIGHT.high)
    family: str = setting(
        "residual",
        "Flow",
        "The residual flow of the sidebar, or a flow of another family with as nearly as many parameters as possible.",
        choices=FAMILIES,
    )
    peer: str = setting(
        "realnvp",
        "Compared with",
        "A flow of another family with as nearly as many parameters as possible.",
        choices=BASELINES,
    )
    width: int = setting(16, "Head width", _WIDTH.help, low=_WIDTH.low, high=_WIDTH.high)
    seeds: int = setting(2, "Seeds", "Flows trained of each kind, shown as a band.", low=1, high=12)
    steps: int = setting(600, "Steps", "Play stops when each flow has taken this many steps.", low=100, high=20_000)

    def __post_init__(self):
        check(self)
