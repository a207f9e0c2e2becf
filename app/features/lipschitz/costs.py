"""What a budget, a shape or a norm costs, as sentences, and what these rest on. Pure: numbers in."""

from collections.abc import Mapping

from app.text import listed, signed
from app.ui import bands
from app.ui.bands import Band, Ranking


def farther(found: Ranking, label: str) -> dict[str, Band]:
    """How much farther from the truth than this flow each other one is: KL - KL', in nats, seed by seed."""
    ours = found.values[label]
    return {
        other: bands.band([theirs - our for theirs, our in zip(values, ours, strict=True)])
        for other, values in found.values.items()
        if other != label
    }


def is_decided(difference: Band) -> bool:
    """Whether all seeds agree on its sign."""
    return difference.low > 0 or difference.high < 0


def is_farthest(found: Ranking, label: str) -> bool:
    """Whether this flow is farther from the truth than each other one, in every seed."""
    return all(one.high < 0 for one in farther(found, label).values())


def of_budgets(found: Ranking) -> str:
    """What each budget costs beside the largest one, which comes last."""
    *smaller, largest = found.values
    costs = farther(found, largest)
    said = [
        f"**{_nats(costs[label])}** with {label} ({_range(costs[label])})"
        for label in smaller
        if is_decided(costs[label])
    ]
    begins = (
        f"After {found.steps:,} steps the flow with {largest} is **{_nats(found.fits[largest])}** from the truth (KL)."
    )
    if said:
        begins += f" A smaller budget adds to this distance: {listed(said)}, over {_seeds(found)}."
    return signed(f"{begins}{_open(costs, largest)}")


def budgets_cost(found: Ranking) -> Mapping[str, bool]:
    smallest, *_ = found.values
    return {"the smallest budget fits worse than each other one, in every seed": is_farthest(found, smallest)}


def of_shapes(found: Ranking) -> str:
    """Of flows with as many parameters each; the one with the fewest blocks comes last."""
    *_, fewest = found.values
    return f"{FEWEST_WORST if is_farthest(found, fewest) else EQUAL_SIZES} {_ranked(found)}"


FEWEST_WORST = "**The fewest and deepest blocks fit worst**, at equal numbers of parameters."
EQUAL_SIZES = "All flows have about the same number of parameters."


def shapes_differ(found: Ranking) -> Mapping[str, bool]:
    *_, fewest = found.values
    return {"the fewest blocks fit worse than all others, in every seed": is_farthest(found, fewest)}


def of_norms(found: Ranking) -> str:
    return _ranked(found)


def norms_differ(found: Ranking) -> Mapping[str, bool]:
    rest = farther(found, found.best)
    return {"some norm is farther away than the nearest, in every seed": any(one.low > 0 for one in rest.values())}


def _ranked(found: Ranking) -> str:
    """The nearest to the truth, and how much farther away the others are."""
    best, rest = found.best, farther(found, found.best)
    said = [
        f"{label} by **{_nats(one)}** ({_range(one)})"
        for label, one in sorted(rest.items(), key=lambda item: item[1].mean)
        if is_decided(one)
    ]
    begins = (
        f"After {found.steps:,} steps the smallest mean distance to the truth (KL) is "
        f"**{_nats(found.fits[best])}** ({best})."
    )
    if said:
        begins += f" Others are farther: {listed(said)}, over {_seeds(found)}."
    return signed(f"{begins}{_open(rest, best)}")


def _open(differences: Mapping[str, Band], label: str) -> str:
    """Which of the flows the seeds do not tell from this one."""
    undecided = [other for other, one in differences.items() if not is_decided(one)]
    if not undecided:
        return ""
    return f" The seeds do not agree whether {label} is nearer than {' or than '.join(undecided)}."


def _nats(found: Band) -> str:
    return f"{found.mean:.3f}\N{NO-BREAK SPACE}nats"


def _range(found: Band) -> str:
    return f"{found.low:.3f} to {found.high:.3f}"


def _seeds(found: Ranking) -> str:
    return f"{found.seeds} seeds" if found.seeds > 1 else "one seed"
