"""What one observable is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.lessons.expression import Unknown


@dataclass(frozen=True)
class Observable:
    """A quantity with its unit. `error` names the observable that is its standard error. `wants` are the fields of the
    engine's `Demand` without which it is not measured; None where no flow is needed."""

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
