"""What can be set on the activation bench, as one frozen value."""

from dataclasses import dataclass
from typing import Any

from app.setup import View
from app.text import plain
from resflow_core.activations import ACTIVATIONS
from resflow_core.expressions import SIGN, read
from resflow_core.flow import FlowConfig
from resflow_core.settings import check, setting, settings_of

ACTIVATIONS_BENCH = "activations."
"""What the names of its settings begin with in links."""

MOST_BLOCKS = int(settings_of(FlowConfig)["blocks"][1].high)
MOST_SHOWN = 6

VIEWS: dict[str, View] = {
    "curves": View("Curves"),
    "inside": View("Inside the flow"),
    "consequences": View("Consequences"),
}


def names_problem(text: str) -> str | None:
    """Why this is not a list of activations, as a sentence with the remedy."""
    names = text.split(",")
    if unknown := [name for name in names if name not in ACTIVATIONS]:
        return f"`{plain(unknown[0])}` is not known: use some of {', '.join(ACTIVATIONS)}, separated by commas."
    if len(set(names)) < len(names):
        return "name each of them once."
    return None if len(names) <= MOST_SHOWN else f"use at most {MOST_SHOWN} of them, not {len(names)}."


def formula_problem(text: str) -> str | None:
    """Why this is no activation, as a sentence with the remedy. Nothing is fine."""
    try:
        if text:
            read(text)
    except ValueError as error:
        return str(error)
    return None


def label_of(name: str) -> str:
    """What an activation is called on the page: its title, or one's own."""
    return "your own" if name.startswith(SIGN) else ACTIVATIONS[name].title


@dataclass(frozen=True)
class Activations:
    """Which activations are looked at, and how."""

    view: str = setting("curves", "View", choices=VIEWS)
    shown: str = setting(
        "lipswish,elu,sine", "Activations", "The activations that are drawn and compared.", high=200, rule=names_problem
    )
    formula: str = setting(
        "", "Your own formula in z", "For example softplus(2*z) - z. Its Lipschitz constant is certified.", high=200,
        rule=formula_problem,
    )  # fmt: skip
    raw: bool = setting(
        False, "Before division", "Shows the activations before they are divided by their constant. Some are too steep."
    )
    beta: float = setting(1.0, "Scale β", "φ(βz) / β: narrower for a larger β, but equally steep.", low=0.25, high=4.0)
    block: int = setting(1, "Block", "The block whose units are shown.", low=1, high=MOST_BLOCKS)
    layer: int = setting(1, "Layer", "The layer whose pre-activations are shown.", low=1, high=5)
    seeds: int = setting(2, "Seeds", "Flows trained with each activation, shown as a band.", low=1, high=5)

    def __post_init__(self):
        check(self)

    @property
    def names(self) -> tuple[str, ...]:
        """All that is shown, by the names that `activation_named` knows."""
        own = (f"{SIGN}{self.formula}",) if self.formula else ()
        return (*self.shown.split(","), *own)

    def widget_texts(self, prefix: str) -> dict[str, Any]:
        """What the list of activations holds."""
        return {f"{prefix}chosen": self.shown.split(",")}
