"""Hooks for long work, which count how often it lets others have a turn."""

from collections.abc import Callable

import torch


class Ended(Exception):
    """The work is to end."""


class Breaths:
    """A hook that does something at each call: nothing, unless `then` says what."""

    def __init__(self, then: Callable[[], object] = lambda: None):
        self.count, self._then = 0, then

    def __call__(self) -> None:
        self.count += 1
        self._then()


class EndsAt(Breaths):
    """A hook that ends the work at this call, from 1."""

    def __init__(self, call: int):
        super().__init__(lambda: self._end(call))

    def _end(self, call: int) -> None:
        if self.count == call:
            raise Ended


@torch.no_grad()
def moved(model: torch.nn.Module) -> None:
    """Change all parameters of a model."""
    for parameter in model.parameters():
        parameter += 0.1
