"""Which flows are compared, and how, as one frozen value."""

from dataclasses import dataclass
from typing import ClassVar

from app.setup import View
from resflow_core.activations import ACTIVATIONS
from resflow_core.baselines.zuko_flows import BASELINES
from resflow_core.log_det import LOG_DETS, Exact, LogDet, Truncated
from resflow_core.residual import BRANCHES
from resflow_core.settings import check, setting

COMPARE = "compare."
"""What the names of its settings begin with in links."""

PICTURES: dict[str, View] = {
    "densities": View("Densities"),
    "samples": View("Samples"),
    "spectra": View("Spectral discs"),
    "layers": View("Jacobian of a layer"),
}


@dataclass(frozen=True)
class Residual:
    """A residual flow of the sidebar's shape; with a truncated series an i-ResNet."""

    title: ClassVar[str] = "Residual flow"

    log_det: LogDet = setting(
        Exact(),
        "Log det",
        "How the training loss computes the log det. With a truncated series the flow is an i-ResNet.",
        choices=LOG_DETS,
    )
    budget: float = setting(
        0.97, "Lipschitz budget L", "Bound on each block's Lipschitz constant.", low=0.05, high=0.999
    )

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class Baseline:
    """A flow of another family, as wide as brings its parameters nearest to those of the residual flow."""

    title: ClassVar[str] = "Another flow"

    kind: str = setting("realnvp", "Family", "A flow from the library zuko. Its log det is exact.", choices=BASELINES)

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class Inside:
    """A residual flow with as many blocks, whose insides are others: as wide as brings its parameters nearest to those
    of the sidebar's flow."""

    title: ClassVar[str] = "Other insides of the blocks"

    branch: str = setting(
        "dense",
        "Layers of a block",
        "How the layers inside a block are joined. Dense: each one gets the outputs of all layers before it.",
        choices=BRANCHES,
    )
    activation: str = setting("clipswish", "Activation", "Nonlinearity inside the blocks.", choices=ACTIVATIONS)
    hidden_layers: int = setting(1, "Hidden layers", "Hidden layers in each block.", low=1, high=4)
    budget: float = setting(
        0.97, "Lipschitz budget L", "Bound on each block's Lipschitz constant.", low=0.05, high=0.999
    )

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class Nobody:
    """No flow in this place."""

    title: ClassVar[str] = "None"


Filled = Residual | Inside | Baseline
Arm = Filled | Nobody
ARMS: dict[str, type[Arm]] = {"residual": Residual, "inside": Inside, "peer": Baseline, "none": Nobody}


@dataclass(frozen=True)
class Compare:
    """Two to four arms, the seeds that each is trained from, for how long, and what is drawn of them."""

    view: str = setting("densities", "Pictures", choices=PICTURES)
    a: Arm = setting(Residual(), "A", choices=ARMS)
    b: Arm = setting(Residual(Truncated()), "B", choices=ARMS)
    c: Arm = setting(Baseline(), "C", choices=ARMS)
    d: Arm = setting(Nobody(), "D", choices=ARMS)
    seeds: int = setting(2, "Seeds", "Flows trained for each choice, shown as a band.", low=1, high=12)
    steps: int = setting(1500, "Steps", "Play stops when each flow has taken this many steps.", low=100, high=20_000)

    ASIDE: ClassVar[tuple[str, ...]] = ("view",)

    def __post_init__(self):
        check(self)

    @property
    def arms(self) -> list[Filled]:
        """Those in which there is a flow."""
        return [arm for arm in (self.a, self.b, self.c, self.d) if not isinstance(arm, Nobody)]
