"""Libraries that only a part of the core needs: the extras of pyproject.toml. They are imported where they are used."""

from collections.abc import Iterator
from contextlib import contextmanager

EXTRAS: dict[str, tuple[str, ...]] = {
    "data": ("scikit-learn",),
    "baselines": ("zuko",),
    "measure": ("contourpy",),
    "fast": ("numba", "scipy", "filelock"),
    "ray": ("ray",),
}
"""The packages of each, by the names that pip knows. It could take `resflow[fast]` from a registry alone."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """For `import` statements of the libraries of an extra: if one is absent, the error says what to install. Raises
    ModuleNotFoundError."""
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed. Install it with: pip install {' '.join(EXTRAS[name])}"
        raise ModuleNotFoundError(message, name=error.name) from error
