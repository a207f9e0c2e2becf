"""What a pulled weight does, in words. Pure."""

import math

from app.features.lipschitz.weighed import Pulled, Weighed
from app.metrics import with_error
from app.text import markdown_table
from app.words import apart, number, order_name
from resflow_core.measure.inversion import MOST_STEPS
from resflow_core.measure.invertibility import Regime


def answer(found: Weighed) -> str:
    """The newest change, what is left of it, and what that does to the density and to the way back."""
    if found.pulled is None:
        return (
            f"**Change a weight of block {found.block + 1}.** Drag a line up or down. The block, the density and the "
            "guarantee change at once. Training goes on without your change."
        )
    return f"{_left(found.pulled)} {_density(found)} {_inverse(found)}"


def _left(pulled: Pulled) -> str:
    change = pulled.change
    if change.kind == "bias":
        return f"**You asked for a bias of {number(change.value)} and got it**: no constraint acts on a bias."
    asked, left = number(change.value), number(pulled.left)
    if change.kind == "row":
        asked, left = f"all weights into unit {change.row + 1} times {asked}", f"{number(_times(pulled))} times"
    if not pulled.capped:
        more = f" {_others(pulled)}" if pulled.others else ""
        return (
            f"**You asked for {asked} and got it.** The norm of layer {change.layer + 1} is "
            f"{number(pulled.norm_left)}{_cap(pulled)}.{more}"
        )
    norm, cap = apart(pulled.norm_asked, pulled.cap)
    return (
        f"**You asked for {asked}, and the constraint made it {left}.** The norm of layer {change.layer + 1} would be "
        f"{norm}, and its cap is {cap}. {_acts(pulled)}"
    )


def _cap(pulled: Pulled) -> str:
    """How the norm lies to the cap, where the layer keeps one."""
    return f", below its cap {number(pulled.cap)}" if pulled.norm_left <= pulled.cap else ""


def _acts(pulled: Pulled) -> str:
    """What the constraint does to the layer, the weights among it that nobody pulled."""
    if pulled.factor is not None:
        also = f", so the other {pulled.others} changed too." if pulled.others else "."
        return f"All {pulled.weights} weights of the layer are multiplied by {number(pulled.factor)}{also}"
    return f"The constraint computes the layer from all its weights. {_others(pulled)}"


def _others(pulled: Pulled) -> str:
    if pulled.others == 1:
        return "One other weight of the layer changed too."
    return f"{pulled.others} other weights of the layer changed too."


def _times(pulled: Pulled) -> float:
    """By which the norm of a row, as it is used, was multiplied."""
    return pulled.left / pulled.before if pulled.before else pulled.change.value


def _density(found: Weighed) -> str:
    if not math.isfinite(found.moved):
        return "The density is **not finite** in the grey places. Bring the change back, or make it smaller."
    return f"**{_percent(found.moved)}** of the probability moved."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def _inverse(found: Weighed) -> str:
    if found.regime is Regime.CERTIFIED:
        return f"The block **is guaranteed** to be invertible: {_steps(found)}."
    if found.regime is Regime.FOLDED:
        return "The block **folds**, so it cannot be undone."
    return f"**Nothing guarantees** that the block can be undone. No fold is seen, and {_steps(found)}."


def _steps(found: Weighed) -> str:
    if found.converges:
        return f"Banach's iteration finds x in at most {found.most_steps} steps"
    return f"Banach's iteration takes more than {MOST_STEPS} steps from {found.late} of {found.places} points z"


def table(found: Weighed, order: float) -> str:
    """Norms and certificate, as trained and now."""
    rows: list[tuple[str, ...]] = [("", "as trained", "now"), (":--", "--:", "--:")]
    if (pulled := found.pulled) is not None:
        rows += _of_weight(pulled, order)
    certified, now = found.certified
    value = " ± ".join(with_error(found.mass.value, found.mass.error)) if found.mass else "…"
    rows += [
        ("product of the norms of all layers", number(certified), number(now)),
        ("bound s L: below 1 it can be undone", "", number(found.bound)),
        ("smallest det(I + sA): below 0 it folds", "", _finite(found.smallest_det)),
        ("scale s\\* at which it folds", "", _finite(found.folds_at, "never")),
        ("steps from z back to x, at most", "", f"{found.most_steps}" if found.converges else f"over {MOST_STEPS}"),
        ("integral of the density", "", value),
    ]
    return markdown_table(rows)


def _of_weight(pulled: Pulled, order: float) -> list[tuple[str, ...]]:
    change = pulled.change
    if change.kind == "bias":
        return [("the bias", number(pulled.trained), number(pulled.left))]
    name = "the weight" if change.kind == "weight" else "norm of the row"
    asked = number(change.value) if change.kind == "weight" else f"{number(change.value)} times"
    norm = f"norm of layer {change.layer + 1}" + ("" if order == 2 else f" (from order {order_name(order)})")
    return [
        (f"{name}, before the constraint", number(pulled.trained), asked),
        (f"{name}, as the layer uses it", number(pulled.before), number(pulled.left)),
        (f"{norm}, before the constraint", number(pulled.norm_trained), number(pulled.norm_asked)),
        (f"{norm}, cap {number(pulled.cap)}", number(pulled.norm_before), number(pulled.norm_left)),
    ]


def _finite(value: float, otherwise: str = "not finite") -> str:
    return number(value) if math.isfinite(value) else otherwise
