"""What is trained, told briefly."""

from collections.abc import Sequence
from typing import Any


def beside(settings: dict[str, Any] | None, page: dict[str, Any]) -> dict[str, Any] | None:
    """What differs from the page's settings, if they are of the same kind; else all."""
    if settings is None or settings.get("is") != page.get("is"):
        return settings
    return {name: value for name, value in settings.items() if name not in page or page[name] != value}


def with_seeds(arms: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Arms that follow each other and differ in their seed only as one, with all its seeds."""
    found: list[dict[str, Any]] = []
    for arm in arms:
        seed = arm["seed"]
        about = {name: value for name, value in arm.items() if name != "seed"}
        if found and found[-1] == about | {"seeds": found[-1]["seeds"]}:
            found[-1]["seeds"].append(seed)
        else:
            found.append(about | {"seeds": [seed]})
    return found
