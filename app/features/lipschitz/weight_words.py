"""What a pulled weight does, in words. Pure."""

import math

from app.features.lipschitz.weighed import Pulled, Weighed
from app.metrics import with_error
from app.text import markdown_table
from app.words import apart, number, order_name
from resflow_core.measure.invertibility import Regime


def answer(found: Weighed) -> str:
    """The newest change, what is left of it, and what that does to the density and to the way back."""
    if found.pulled is None:
        return (
            f"**Pull a weight of block {found.block + 1}.** Drag a line up or down: the block, the density and the "
            f"guarantee answer at once. Training goes on without your change."
        )
    return f"{_left(found.pulled)} {_density(found)} {_inverse(found)}"


def _left(pulled: Pulled) -> str:
    change = pulled.change
    if change.kind == "bias":
        return f"**You asked for a bias of {number(change.value)}, and have it**: no constraint acts on a bias."
    others = f", and {pulled.others} other weight{'s' * (pulled.others != 1)} changed too" if pulled.others else ""
    layer = f"layer {change.layer + 1}"
    what = f"{number(change.value)}"
    left = number(pulled.left)
    if change.kind == "row":
        what = f"all weights into unit {change.row + 1} times {number(change.value)}"
        left = f"{number(pulled.left / pulled.before)} times" if pulled.before else left
    if not pulled.capped:
        return (
            f"**You asked for {what}, and have it.** The norm of {layer} is {number(pulled.norm_left)}; its cap is "
            f"{number(pulled.cap)}, so nothing is taken back{others}."
        )
    asked, cap = apart(pulled.norm_asked, pulled.cap)
    if pulled.norm_asked > pulled.cap:
        return (
            f"**You asked for {what}, the constraint left {left}.** The norm of {layer} would be {asked}, and its cap "
            f"is {cap}: all {pulled.weights} weights of the layer are made smaller{others}."
        )
    return (
        f"**You asked for {what}, the constraint made {left} of it.** It sets the norm of {layer}, {asked}, to "
        f"{number(pulled.norm_left)}{others}."
    )


def _density(found: Weighed) -> str:
    if not math.isfinite(found.moved):
        return "The density is **not finite** in places, which are grey: bring the change back, or ask for less."
    return f"**{_percent(found.moved)}** of the probability moved."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def _inverse(found: Weighed) -> str:
    if found.regime is Regime.CERTIFIED:
        return f"The block **can still be undone**, guaranteed: {_steps(found)}."
    if found.regime is Regime.FOLDED:
        return "The block **folds**: it cannot be undone."
    return f"**Nothing guarantees** that the block can be undone; no fold is seen, and {_steps(found)}."


def _steps(found: Weighed) -> str:
    if found.converges:
        return f"Banach's iteration finds x in at most {found.most_steps} steps"
    return f"Banach's iteration does not arrive from {found.late} of {found.places} z"


def table(found: Weighed, order: float) -> str:
    """Norms and certificate, as trained and now."""
    rows = [("", "as trained", "now", "what it says"), (":--", "--:", "--:", ":--")]
    if (pulled := found.pulled) is not None:
        rows += _of_weight(pulled, order)
    certified, now = found.certified
    rows += [
        ("layers' norms multiplied", number(certified), number(now), "bounds the block's Lipschitz constant"),
        ("bound s L", "", number(found.bound), "what the constraint claims; below 1 an inverse is guaranteed"),
        ("smallest det(I + sA)", "", _finite(found.smallest_det), "the least factor of areas; below 0 it folds"),
        ("folds at s\\*", "", _finite(found.folds_at, "never"), "from this scale on a fold is seen"),
        ("steps to x", "", f"{found.most_steps}" if found.converges else "does not arrive", "of Banach's iteration"),
    ]
    value = " ± ".join(with_error(found.mass.value, found.mass.error)) if found.mass else "…"
    rows.append(("integral of the density", "", value, "1 for a true density"))
    return markdown_table(rows)


def _of_weight(pulled: Pulled, order: float) -> list[tuple[str, ...]]:
    change = pulled.change
    if change.kind == "bias":
        return [("bias", number(pulled.trained), number(pulled.left), "as it is used")]
    name = "the weight" if change.kind == "weight" else "norm of the row"
    asked = number(change.value) if change.kind == "weight" else f"{number(change.value)} times"
    layer = f"layer {change.layer + 1}"
    norm = f"‖W‖ of {layer}" + ("" if order == 2 else f", from the {order_name(order)}-norm")
    return [
        (f"{name}, as asked", number(pulled.trained), asked, "before the constraint"),
        (f"{name}, as used", number(pulled.before), number(pulled.left), "after the constraint"),
        (f"{norm}, as asked", "", number(pulled.norm_asked), f"the cap is {number(pulled.cap)}"),
        (f"{norm}, as used", number(pulled.norm_before), number(pulled.norm_left), "what the constraint leaves"),
    ]


def _finite(value: float, otherwise: str = "not finite") -> str:
    return number(value) if math.isfinite(value) else otherwise
