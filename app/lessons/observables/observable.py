"""What one observable is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.lessons.expression import Unknown

if TYPE_CHECKING:
    from app.lessons.observables import Situation


@dataclass(frozen=True)
class Observable:
    """A quantity with its unit. `error` names the observable that is its standard error. `wants` are the fields of the
    engine's `ViewRequest` without which it is not measured; None where no flow is needed."""

    title: str
    read: Callable[..., Any]
    unit: str = ""
    arguments: int = 0
    error: str = ""
    wants: tuple[str, ...] | None = None


def known(value: Any) -> Any:
    """Raises `Unknown` for None."""
    if value is None:
        raise Unknown
    return value


def blocks(at: "Situation") -> Any:
    """Of the flow as it stands: they are measured with the held-out losses."""
    blocks, loss = known(at.arm.blocks), known(at.arm.loss)
    if not len(loss.held_step) or loss.held_step[-1] != at.arm.step:
        raise Unknown
    return blocks
