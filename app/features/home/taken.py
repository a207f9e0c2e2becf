"""What can be taken away of the replay beside its picture: the programs that train its two flows anew."""

from app import evidence
from app.components import take
from app.components.take import File
from app.features.home.evidence import CUT, EXACT, NAME, arms
from app.metrics import Readout
from app.takeaway.of_run import of_trained
from app.takeaway.training import Run
from app.ui import takeaway

__all__ = ["files", "menu", "run_of"]

OF = "replay"
"""The name under which the replay offers its picture (`replay.js`)."""


def menu(*, key: str) -> None:
    """The menu of the replay."""
    take.menu(files(), key=key, of=OF)


def files() -> list[File]:
    """Each of the two flows as a program: the replay's own switch chooses one of them, of which the server does not
    hear."""
    terms = evidence.stored(NAME).settings["terms"]
    named = {EXACT: ("exact-log-det", "the exact log det"), CUT: (f"{terms}-terms", f"{terms} terms of the series")}
    return [
        file
        for name, (stem, about) in named.items()
        for file in takeaway.behind(f"replay-{stem}", of_trained, run_of(name), _shown(name), about=about)
    ]


def run_of(name: str, at: int = -1) -> Run:
    """The stored run of one of the flows up to the `at`-th of its steps, as a program repeats it."""
    told = evidence.stored(NAME)
    return Run(arms()[name], told.seeds[0], told.found["steps"][at], told.backend)


def _shown(name: str) -> list[Readout]:
    """What the replay says at its end."""
    found = evidence.stored(NAME).found[name]
    (true, bias, mass) = (found[key][-1] for key in ("true", "bias", "mass"))
    numbers = {
        "Reported loss": (true - bias, "nats"),
        "True loss": (true, "nats"),
        "Mass that training believes in": (mass, ""),
    }
    return [Readout(label, label, "", f"{value:.2f}", unit=unit) for label, (value, unit) in numbers.items()]
