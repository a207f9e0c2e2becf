"""Modules that draw from a generator of their own, which travels with them."""

from typing import Any

import torch
from torch import Tensor, nn


class OwnStream(nn.Module):
    """A module with a generator `_stream`: pickle, `copy.deepcopy` and `torch.save` take its state along."""

    _stream: torch.Generator

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_stream": self._stream.get_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state | {"_stream": from_state(state["_stream"])})


def from_state(state: Tensor) -> torch.Generator:
    """A generator on the CPU that goes on from there."""
    generator = torch.Generator()
    generator.set_state(state)
    return generator
