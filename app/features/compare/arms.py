"""From what was chosen to flows that can be trained, with names that tell them apart."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import singledispatch

from app.engine.experiment import Arm
from app.features.compare.settings import Baseline, Compare, Filled, Inside, Residual
from app.setup import Setup
from app.text import signed
from resflow_core.activations import ACTIVATIONS
from resflow_core.baselines.zuko_flows import BASELINES
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, LogDet, Roulette, Truncated
from resflow_core.training.parameter_count import matched, matched_width, parameter_count


@dataclass(frozen=True)
class Contender:
    """One arm of the comparison; `arm` once for each seed is what is trained."""

    label: str
    arm: Arm
    parameters: int
    excess: float  # share by which it has more parameters than the residual flow

    @property
    def log_det(self) -> LogDet:
        return self.arm.train.log_det

    @property
    def size(self) -> str:
        """How many parameters it has, and how far that is from the residual flow's."""
        off = f" ({100 * self.excess:+.1f}\u00a0%)" if self.excess else ""
        return signed(f"{self.parameters:,}{off}")

    @property
    def is_exact(self) -> bool:
        return self.log_det == Exact()

    @property
    def budget(self) -> float | None:
        """L of its blocks; None where it has none."""
        return self.arm.flow.budget if isinstance(self.arm.flow, FlowConfig) else None

    @property
    def terms(self) -> int | None:
        """Where its series ends; None where nothing is left out."""
        return self.log_det.n_terms if isinstance(self.log_det, Truncated) else None


def contenders(setup: Setup, bench: Compare) -> list[Contender]:
    """The arms on the page's data, with its training, residual flows in its shape."""
    wanted = parameter_count(setup.flow)
    labels = names(bench)
    return [
        Contender(label, arm, n := parameter_count(arm.flow), n / wanted - 1)
        for label, arm in zip(labels, (built(chosen, setup) for chosen in bench.arms), strict=True)
    ]


@singledispatch
def built(chosen: Filled, setup: Setup) -> Arm:
    """What the engine trains."""
    raise TypeError(f"There is no flow for {chosen!r}.")


@built.register
def _(chosen: Residual, setup):
    train = replace(setup.train, log_det=chosen.log_det)
    return Arm(replace(setup.flow, budget=chosen.budget), train, setup.source)


@built.register
def _(chosen: Baseline, setup):
    flow = matched(chosen.kind, parameter_count(setup.flow))
    return Arm(flow, replace(setup.train, log_det=Exact()), setup.source)


@built.register
def _(chosen: Inside, setup):
    shape = replace(
        setup.flow,
        branch=chosen.branch,
        activation=chosen.activation,
        hidden_layers=chosen.hidden_layers,
        budget=chosen.budget,
    )
    flow = matched_width(shape, parameter_count(setup.flow))
    return Arm(flow, replace(setup.train, log_det=Exact()), setup.source)


def names(bench: Compare) -> list[str]:
    """What each arm is called: by its flow and estimator, by L where they differ in it, else by a number."""
    budgets = {arm.budget for arm in bench.arms if not isinstance(arm, Baseline)}
    labels = []
    for arm in bench.arms:
        label = _name(arm)
        labels.append(label if isinstance(arm, Baseline) or len(budgets) == 1 else f"{label}, L = {arm.budget:g}")
    seen, counts = Counter(), Counter(labels)
    for k, label in enumerate(labels):
        seen[label] += 1
        labels[k] = f"{label} ({seen[label]})" if counts[label] > 1 else label
    return labels


def _name(arm: Filled) -> str:
    if isinstance(arm, Baseline):
        return BASELINES[arm.kind].title.split(",")[0]
    return inside_name(arm) if isinstance(arm, Inside) else estimator_name(arm.log_det)


def inside_name(arm: Inside) -> str:
    """How its layers are joined, by which activation, and how many hidden layers there are if there are several."""
    depth = f", {arm.hidden_layers} hidden layers" if arm.hidden_layers > 1 else ""
    return f"{arm.branch.capitalize()}, {ACTIVATIONS[arm.activation].title}{depth}"


@singledispatch
def estimator_name(log_det: LogDet) -> str:
    """A residual flow by how it is trained."""
    raise TypeError(f"There is no name for {log_det!r}.")


@estimator_name.register
def _(log_det: Exact):
    return "Residual, exact"


@estimator_name.register
def _(log_det: Truncated):
    return f"i-ResNet, {log_det.n_terms} term{'s' * (log_det.n_terms > 1)}"


@estimator_name.register
def _(log_det: Roulette):
    return "Residual, roulette" if log_det.gradient.startswith("plain") else "Residual, roulette + Neumann"
