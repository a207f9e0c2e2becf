"""Libraries that only a part of the core needs: the extras of pyproject.toml. They are imported where they are used."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str) -> Iterator[None]:
    """For `import` statements of the libraries of an extra: if one is absent, the error says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'{error.name} is not installed. Install it with: pip install "resflow[{name}]"', name=error.name
        ) from error
