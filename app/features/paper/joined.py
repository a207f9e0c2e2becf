"""The verdict on dense blocks, computed from stored numbers: where they are ahead of residual ones, and why. Pure."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from app.evidence import Stored
from app.features.paper.found import Found, Kind, Picture
from app.ui.bands import Band, band
from resflow_core.data import DATASETS

RESIDUAL, DENSE, CHAINED = "Residual", "Dense", ", chained"
"""What the names of flows begin with in what is stored, and what those of chained ones end with."""


def dense(stored: Stored) -> Found:
    """Dense blocks nearer to the data than residual ones of as many parameters, at equal steps and at equal time; and
    what becomes of them if their layers are held to a chain."""
    places, ahead = count(), []
    numbers = {
        "seeds": str(len(stored.seeds)),
        "steps": f"{stored.settings['steps']:,}",
        "layers": str(stored.settings["hidden_layers"]),
        "fewest": f"{min(stored.settings['parameters'].values()):,}",
        "most": f"{max(stored.settings['parameters'].values()):,}",
    }
    by_steps: list[str] = []
    by_time: list[str] = []
    why = ""
    for data, kinds in stored.found.items():
        for label in (one for one in kinds if one.startswith(DENSE) and not one.endswith(CHAINED)):
            place, activation = next(places), label.split(", ")[1]
            ours, theirs = _fit(kinds[label]), _fit(kinds[label.replace(DENSE, RESIDUAL, 1)])
            ahead.append(ours.high < theirs.low)
            by_steps.append(
                f"{{data_{place}}} with {{activation_{place}}}: {{ours_{place}}}, residual {{theirs_{place}}}"
            )
            numbers |= {
                f"data_{place}": DATASETS[data].title,
                f"activation_{place}": activation,
                f"ours_{place}": str(ours),
                f"theirs_{place}": str(theirs),
            }
            if ahead[-1] and not why and label + CHAINED in kinds:
                chained = _fit(kinds[label + CHAINED])
                why = (
                    f"If each layer sees only the layer before it, the dense blocks with {{activation_{place}}} come "
                    f"to {{chained}} on {{data_{place}}}. {_because(ours, theirs, chained)} "
                )
                numbers["chained"] = str(chained)
        seconds, nearest, fit = _at_equal_time(kinds)
        place = next(places)
        by_time.append(f"{{nearest_{place}}} on {{data_{place}}} (KL {{fit_{place}}} after {{seconds_{place}}} s)")
        numbers |= {
            f"data_{place}": DATASETS[data].title,
            f"nearest_{place}": nearest,
            f"fit_{place}": str(fit),
            f"seconds_{place}": f"{seconds:.1f}",
        }
    often = "everywhere" if all(ahead) else "in some cases" if any(ahead) else "nowhere"
    says = (
        f"dense blocks are ahead in all seeds {often}. KL in nats after {{steps}} steps ({{layers}} hidden layers, "
        f"{{fewest}} to {{most}} parameters, {{seeds}} seeds): {'; '.join(by_steps)}. {why}"
        f"At equal CPU time, the nearest is {' and '.join(by_time)}."
    )
    kind = Kind.SHOWS if all(ahead) else Kind.IN_PART if any(ahead) else Kind.NOT_HERE
    return Found(kind, says, numbers, _picture(stored, ahead))


def _because(ours: Band, theirs: Band, chained: Band) -> str:
    """Why dense blocks are ahead, by what is left of it without their connections."""
    if ours.high < chained.low:
        return "So the connections help."
    if chained.high < theirs.low:
        return (
            "So the connections are not the reason. A dense block begins with a matrix, and a residual block with the "
            "activation of each coordinate."
        )
    return "The seeds do not tell whether the connections help."


def _picture(stored: Stored, ahead: Sequence[bool]) -> Picture:
    """Of the set on which dense blocks are ahead most often."""
    each = len(ahead) // len(stored.found)
    won = {data: sum(ahead[k * each : (k + 1) * each]) for k, data in enumerate(stored.found)}
    data = max(won, key=lambda one: won[one])
    rows = {label: [run["kl"] for run in runs] for label, runs in stored.found[data].items()}
    return Picture(rows, f"KL(data ‖ flow), {DATASETS[data].title}", "nats", log=True)


def _fit(runs: Sequence[Mapping[str, Any]]) -> Band:
    return band([run["kl"] for run in runs])


def _at_equal_time(kinds: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[float, str, Band]:
    """What the quickest kind takes for all its steps, on average; and the kind that is nearest then. Kinds that are
    held to a chain take no part: they are slower than they need be."""
    free = {label: runs for label, runs in kinds.items() if not label.endswith(CHAINED)}
    seconds = min(float(np.mean([run["way"][-1][0] for run in runs])) for runs in free.values())
    fits = {label: band([_at(run["way"], seconds) for run in runs]) for label, runs in free.items()}
    nearest = min(fits, key=lambda label: fits[label].mean)
    return seconds, nearest, fits[nearest]


def _at(way: Sequence[Sequence[float]], seconds: float) -> float:
    """By straight lines between the moments."""
    at, kls = zip(*way, strict=True)
    return float(np.interp(seconds, at, kls))
