"""The stored answers of the views that compare flows: what a budget, a shape and a norm cost. They are trained as the
page trains them, and read as the page reads what it has just trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from app import examples
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm
from app.evidence import Evidence, Made
from app.evidence.training import backend_of, fit_report, kept_fit, trained
from app.features.lipschitz import arms, costs
from app.setup import Setup
from app.ui import bands
from app.ui.bands import Groups, Ranking

BUDGETS, SHAPES, NORMS = "lipschitz-budgets", "lipschitz-shapes", "lipschitz-norms"
SETUP = Setup(data=examples.DATA)
SEEDS, SMALL_STEPS = 3, 200
MOST_POINTS = 40
"""Of a curve."""
REQUEST = ViewRequest(frames=False)


@dataclass(frozen=True)
class Question:
    """`arms` are the flows that are compared, by their labels, and `steps` how long they train. `sentence` answers with
    what was found, and `claims` say what it rests on, and whether it is so."""

    arms: Callable[[Setup], dict[str, Arm]]
    steps: int
    sentence: Callable[[Ranking], str]
    claims: Callable[[Ranking], Mapping[str, bool]]


QUESTIONS: dict[str, Question] = {
    BUDGETS: Question(arms.budgets, 3_000, costs.of_budgets, costs.budgets_cost),
    SHAPES: Question(arms.shapes, 3_000, costs.of_shapes, costs.shapes_differ),
    NORMS: Question(arms.norms, 1_000, costs.of_norms, costs.norms_differ),
}
"""By the names of their stored answers."""


def make(name: str, small: bool) -> Made:
    """Train all flows of a question, from three seeds."""
    question = QUESTIONS[name]
    of, steps = question.arms(SETUP), min(SMALL_STEPS, question.steps) if small else question.steps
    reports = trained(list(bands.seeded(of, SETUP.seed, SEEDS).values()), steps, REQUEST)
    groups = bands.grouped(list(of), reports, SEEDS)
    return Made(
        {label: [kept_fit(arm, MOST_POINTS) for arm in seeds] for label, seeds in groups.items()},
        {"data": SETUP.data, "steps": steps, "arms": {label: repr(arm) for label, arm in of.items()}},
        tuple(range(SETUP.seed, SETUP.seed + SEEDS)),
        backend_of(reports),
    )


def groups_of(found: Mapping[str, Any]) -> Groups:
    """What was stored, as the reports of flows that have just been trained."""
    return {label: [fit_report(arm) for arm in seeds] for label, seeds in found.items()}


def read(found: Mapping[str, Any]) -> Ranking:
    """What was stored, in numbers."""
    return bands.by_steps(SETUP.dataset, groups_of(found))


def _claims(name: str, found: Mapping[str, Any]) -> Mapping[str, bool]:
    return QUESTIONS[name].claims(read(found))


EVIDENCE = {name: Evidence(partial(make, name), partial(_claims, name)) for name in QUESTIONS}
