"""From what was chosen to hybrids that can be trained."""

from dataclasses import dataclass, fields, replace

from app.engine.experiment import Arm
from app.features.joint.settings import FAMILIES, WEIGHTS, Joint
from app.setup import Setup
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Exact
from resflow_core.training.parameter_count import matched, matched_classifier, parameter_count
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig

PLAIN = "Plain classifier"


@dataclass(frozen=True)
class Contestant:
    """One arm, its family and its weight."""

    label: str
    family: str  # a key of `FAMILIES`; "" for the plain classifier
    weight: float
    arm: Arm

    @property
    def parameters(self) -> int:
        return parameter_count(self.arm.flow)


def pair(setup: Setup, bench: Joint) -> list[Contestant]:
    """The flow with its classifier, and a classifier of x with as nearly as many parameters."""
    hybrid = contestant(setup, bench, bench.family, bench.weight)
    plain = matched_classifier(hybrid.arm.flow.classes, hybrid.parameters)
    arm = Arm(plain, _train(setup.train, 0.0, exact=True), setup.source)
    return [replace(hybrid, label=title_of(bench.family)), Contestant(PLAIN, "", 0.0, arm)]


def grid(setup: Setup, bench: Joint) -> list[Contestant]:
    """Every weight of the paper, of both families."""
    return [contestant(setup, bench, family, weight) for family in ("residual", bench.peer) for weight in WEIGHTS]


def contestant(setup: Setup, bench: Joint, family: str, weight: float) -> Contestant:
    """A hybrid on the page's data, with its training."""
    is_residual = family == "residual"
    flow = setup.flow if is_residual else matched(family, parameter_count(setup.flow))
    hybrid = HybridConfig(flow, len(setup.dataset.classes), bench.width)
    arm = Arm(hybrid, _train(setup.train, weight, exact=not is_residual), setup.source)
    return Contestant(f"{title_of(family)}, λ = {weight:g}", family, weight, arm)


def title_of(family: str) -> str:
    return FAMILIES[family].title.split(",")[0]


def is_residual(one: Contestant) -> bool:
    """Whether its flow can be the page's."""
    return isinstance(one.arm.flow.flow, FlowConfig)


def _train(train: TrainConfig, weight: float, *, exact: bool) -> HybridTrainConfig:
    values = {field.name: getattr(train, field.name) for field in fields(TrainConfig)}
    return HybridTrainConfig(**values | {"weight": weight} | ({"log_det": Exact()} if exact else {}))
