"""Stored values: JSON that is written the same way each time, and what differs between two of them."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
MOST_SHOWN = 12
"""Differences that a failing test shows."""


def load(name: str) -> Any:
    """What a file of this folder holds. Raises FileNotFoundError."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def save(name: str, value: Any, open_levels: int = 2) -> None:
    """Write JSON: a line for each entry of the first `open_levels` levels, and all below it in one line."""
    (FOLDER / name).write_text(f"{_text(as_json(value), open_levels)}\n", encoding="utf-8")


def as_json(value: Any) -> Any:
    """Plain values, with tuples as lists, and numbers that JSON does not have as text."""
    if isinstance(value, dict):
        return {str(name): as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{value!r}: JSON has no {type(value).__name__}.")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def close(relative: float, absolute: float = 0.0) -> Callable[[float, float], bool]:
    """Whether two numbers agree up to this."""
    return lambda a, b: (
        a == b
        or (math.isfinite(a) and math.isfinite(b) and abs(a - b) <= max(relative * max(abs(a), abs(b)), absolute))
    )


def same(a: float, b: float) -> bool:
    return a == b


def differences(stored: Any, found: Any, agree: Callable[[float, float], bool] = same) -> list[str]:
    """Where two values differ, each as a line; floats by `agree`."""
    lines = list(_differences(stored, as_json(found), agree, ""))
    more = [f"... and {len(lines) - MOST_SHOWN} more"] if len(lines) > MOST_SHOWN else []
    return lines[:MOST_SHOWN] + more


def _differences(a: Any, b: Any, agree: Callable[[float, float], bool], at: str) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        for name in [*a, *(name for name in b if name not in a)]:
            if name not in b or name not in a:
                yield f"{at}/{name}: {'stored only' if name in a else 'found only'}"
            else:
                yield from _differences(a[name], b[name], agree, f"{at}/{name}")
    elif isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            yield f"{at}: {len(a)} stored, {len(b)} found: {str(a)[:200]} | {str(b)[:200]}"
        else:
            for k, (one, other) in enumerate(zip(a, b, strict=True)):
                yield from _differences(one, other, agree, f"{at}/{k}")
    elif isinstance(a, float) and isinstance(b, float | int) and not isinstance(b, bool):
        if not agree(a, float(b)):
            yield f"{at}: stored {a!r}, found {b!r}"
    elif type(a) is not type(b) or a != b:
        yield f"{at}: stored {str(a)[:200]!r}, found {str(b)[:200]!r}"


def _text(value: Any, open_levels: int, indent: str = "") -> str:
    if open_levels and isinstance(value, dict | list) and value:
        inner = f"{indent} "
        parts = (
            [
                f"{json.dumps(name, ensure_ascii=False)}: {_text(one, open_levels - 1, inner)}"
                for name, one in value.items()
            ]
            if isinstance(value, dict)
            else [_text(one, open_levels - 1, inner) for one in value]
        )
        left, right = "{}" if isinstance(value, dict) else "[]"
        return f"{left}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{right}"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
