"""What activations do to trained flows, in words, and what these rest on. Pure."""

from collections.abc import Mapping

from app.features.activations.used import Compared
from app.text import listed
from app.ui.bands import Band, Outcome

EMPTY = 5.0
"""Per cent of the units that are few."""


def sentence(found: Compared) -> str:
    """Where the units sit, and whether the flows fit better for it."""
    (first, one), *others = found.of.items()
    said = (
        "If the slope is near 1 and the curvature near 0, a unit passes its input on and bends nothing. This holds for "
        f"**{percent(one.saturated)}** of all units with {first}"
    )
    if others:
        said += f", and for {listed([f'**{percent(used.saturated)}** with {label}' for label, used in others])}"
    return f"{said}. {fit(found)}"


def fit(found: Compared) -> str:
    """How far the flows are from the truth, and whether that tells them apart."""
    ranking = found.ranking
    of = "Held-out gap to the truth" if ranking.measure == "KL" else "Held-out NLL"
    gaps = listed([f"{label} **{used.gap.mean:.3f}**" for label, used in found.of.items()])
    said = f"{of}, in nats: {gaps} ({_seeds(found)}"
    if ranking.outcome is Outcome.AHEAD:
        return f"{said}; {ranking.best} is ahead)."
    if ranking.outcome is Outcome.EQUAL:
        return f"{said}). The fits are equal within 25\N{NO-BREAK SPACE}%."
    if ranking.outcome is Outcome.NOT_DECIDED:
        return f"{said}). The seeds do not decide which fits better."
    return f"{said}; too few to decide which fits better)."


def claims(found: Compared) -> Mapping[str, bool]:
    """Of the stored flows: with ELU and with LipSwish."""
    elu, lipswish = (found.of[label].saturated for label in ("ELU", "LipSwish"))
    return {
        "with ELU more units are saturated than with LipSwish, in every seed": elu.low > lipswish.high,
        "the fits are numbers": found.ranking.outcome
        in (Outcome.AHEAD, Outcome.EQUAL, Outcome.NOT_DECIDED, Outcome.FEW_SEEDS),
    }


def percent(found: Band) -> str:
    digits = 0 if found.mean >= 10 else 1
    return f"{found.mean:.{digits}f}\N{NO-BREAK SPACE}%"


def _seeds(found: Compared) -> str:
    return f"{found.seeds} seeds" if found.seeds > 1 else "one seed"
