"""The verdict on dense blocks, computed from stored numbers: where they are ahead of residual ones, and why. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.contests import Outcome, of_kl
from app.evidence import Stored
from app.features.paper.compared import Claimed, found, ruled
from app.features.paper.decided import every_set
from app.features.paper.found import Found, Picture
from app.ui.bands import Band, band
from resflow_core.data import DATASETS

RESIDUAL, DENSE, CHAINED = "Residual", "Dense", ", chained"
"""What the names of flows begin with in what is stored, and what those of chained ones end with."""
Ways = Mapping[str, Sequence[Sequence[Sequence[float]]]]
"""Of each kind of blocks the KL of every seed on its way, as pairs of seconds and nats."""


def dense(compared: Stored, joined: Stored) -> Found:
    """Dense blocks nearer to the data than residual ones of as many parameters, with the same activation, on two sets,
    at equal steps; what is nearest at equal time; and what becomes of them if their layers are held to a chain."""
    (other,) = joined.found
    sets: dict[str, tuple[Stored, Ways]] = {
        compared.settings["data"]: (compared, {label: _curves(arms) for label, arms in compared.found.items()}),
        other: (joined, {label: [run["way"] for run in runs] for label, runs in joined.found[other].items()}),
    }
    values: dict[str, dict[str, list[float]]] = {}
    numbers: dict[str, str] = {"layers": str(joined.settings["hidden_layers"])}
    parts: list[str] = []
    why = ""
    for place, (data, (stored, ways)) in zip("ab", sets.items(), strict=True):
        said: list[str] = []
        for at, label in enumerate(one for one in ways if one.startswith(DENSE) and not one.endswith(CHAINED)):
            key, activation = f"{place}{'cd'[at]}", label.split(", ")[1]
            ours, theirs = _last(ways[label]), _last(ways[label.replace(DENSE, RESIDUAL, 1)])
            values[f"{data}, {activation}"] = {DENSE: ours, RESIDUAL: theirs}
            said.append(f"{{ours_{key}}} with {{activation_{key}}}, residual {{theirs_{key}}}")
            numbers |= {
                f"ours_{key}": str(band(ours)),
                f"theirs_{key}": str(band(theirs)),
                f"activation_{key}": activation,
            }
            if label + CHAINED in ways:
                chained = _last(ways[label + CHAINED])
                numbers["chained"] = str(band(chained))
                why = (
                    f" With {{activation_{key}}} on {{data_{place}}}, dense blocks whose layers see only the layer "
                    f"before come to {{chained}}. {_because(ours, theirs, chained)}"
                )
        seconds, nearest, fit = _at_equal_time(ways)
        parts.append(
            f"{{data_{place}}} ({{seeds_{place}}} seeds, {{steps_{place}}} steps): {'; '.join(said)}; at equal time "
            f"({{seconds_{place}}} s) the smallest mean is that of {{nearest_{place}}}, {{fit_{place}}}."
        )
        numbers |= {
            f"data_{place}": DATASETS[data].title,
            f"seeds_{place}": str(len(stored.seeds)),
            f"steps_{place}": f"{stored.settings['steps']:,}",
            f"nearest_{place}": _short(nearest),
            f"fit_{place}": str(fit),
            f"seconds_{place}": f"{seconds:.1f}",
        }
    says = (
        "dense blocks of {layers} hidden layers beside residual ones, at equal steps and nearly equal parameters. KL "
        f"in nats: {' '.join(parts)}{why}"
    )
    rows = {_short(label): _last(of) for label, of in sets[other][1].items()}
    picture = Picture(rows, f"KL(data ‖ flow), {DATASETS[other].title}", "nats", log=True)
    return found(ruled(values, lambda values: every_set(values, DENSE), CLAIMED), says, numbers, picture)


CLAIMED = Claimed(
    "dense blocks have the smaller KL",
    "residual blocks have it",
    "on both sets with each activation",
    "on some set with some activation",
)


def _because(ours: Sequence[float], theirs: Sequence[float], chained: Sequence[float]) -> str:
    """Why dense blocks are ahead, by what is left of it without their connections."""
    if of_kl(ours, chained).outcome is Outcome.AHEAD:
        return "So the connections help."
    if of_kl(chained, theirs).outcome is Outcome.AHEAD:
        return (
            "So the connections are not the reason. What remains: a dense block begins with a matrix and weighs its "
            "units, and a residual block begins with the activation of each coordinate."
        )
    return "The seeds do not decide whether the connections help."


def _short(label: str) -> str:
    """Without the number of its hidden layers, which all have."""
    return ", ".join(part for part in label.split(", ") if "hidden" not in part)


def _curves(arms: Sequence[Mapping[str, Any]]) -> list[list[Sequence[float]]]:
    """The fits on the way of flows that were trained as pages train them."""
    return [list(zip(arm["curves"]["held_seconds"], arm["curves"]["held_kl"], strict=True)) for arm in arms]


def _last(ways: Sequence[Sequence[Sequence[float]]]) -> list[float]:
    return [way[-1][1] for way in ways]


def _at_equal_time(ways: Ways) -> tuple[float, str, Band]:
    """What the quickest kind takes for all its steps, on average; and the kind that is nearest then. Kinds that are
    held to a chain take no part: they are slower than they need be."""
    free = {label: of for label, of in ways.items() if not label.endswith(CHAINED)}
    seconds = min(float(np.mean([way[-1][0] for way in of])) for of in free.values())
    fits = {label: band([_at(way, seconds) for way in of]) for label, of in free.items()}
    nearest = min(fits, key=lambda label: fits[label].mean)
    return seconds, nearest, fits[nearest]


def _at(way: Sequence[Sequence[float]], seconds: float) -> float:
    """By straight lines between the moments."""
    at, kls = zip(*way, strict=True)
    return float(np.interp(seconds, at, kls))
