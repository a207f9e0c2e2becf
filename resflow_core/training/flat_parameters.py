"""The parameters of a model as one long vector, stacked layer by layer."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.flow import Flow, FlowMap, NormalizingFlow
from resflow_core.hybrid import Hybrid


class FlatParameters:
    """A model with its parameters in one long vector: first its matrices, then all others. The parameters become views.

    Then optimiser, clipping and average handle one tensor instead of hundreds of small ones. What has one name within
    a block stands side by side for all blocks, so that it is one tensor (`stacked`).
    """

    def __init__(self, model: NormalizingFlow | Hybrid):
        self.model = model
        named = sorted(model.named_parameters(), key=lambda item: (item[1].ndim <= 1, _within(item[0])))
        self._parameters = [parameter for _, parameter in named]
        self._groups = [
            (name, [parameter.shape for _, parameter in group])
            for name, group in groupby(named, key=lambda item: _within(item[0]))
        ]
        n_matrices = sum(p.numel() for p in self._parameters if p.ndim > 1)
        self._flat = torch.cat([p.detach().flatten() for p in self._parameters])
        places = self._flat.split([p.numel() for p in self._parameters])
        for parameter, place in zip(self._parameters, places, strict=True):
            parameter.data = place.view_as(parameter)
        self._gradient = torch.zeros_like(self._flat)
        self.leaves = self._leaves()
        self.matrices, self.others = self._flat[:n_matrices], self._flat[n_matrices:]

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """All of them, in the order of the vector."""
        return self._parameters

    @property
    def vector(self) -> Tensor:
        """The parameters, (n,)."""
        return self._flat

    @property
    def gradient(self) -> Tensor:
        """The gradient of the last loss that was differentiated, (n,)."""
        return self._gradient

    def stacked(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Views of the parameters, and of their gradients: (blocks, ...) for each name within a block."""
        return dict(self._views(self._flat)), dict(self._views(self._gradient))

    def _leaves(self) -> dict[str, Tensor]:
        """What belongs to all blocks of a residual flow, stacked: one leaf of autograd in the place of one for each
        block, which takes half of the time in small flows."""
        model, prefix = (self.model.flow, "flow.") if isinstance(self.model, Hybrid) else (self.model, "")
        if not isinstance(model, Flow):
            return {}
        known = {prefix + name for name in model.stacked_names}
        return {name: view.detach().requires_grad_() for name, view in self._views(self._flat) if name in known}

    def _views(self, vector: Tensor) -> Iterator[tuple[str, Tensor]]:
        start = 0
        for name, shapes in self._groups:
            size = len(shapes) * shapes[0].numel()
            if len(set(shapes)) == 1:
                yield name, vector[start : start + size].view(len(shapes), *shapes[0])
            start += sum(shape.numel() for shape in shapes)

    @property
    def others_than_leaves(self) -> list[torch.nn.Parameter]:
        """The parameters that are in none of the `leaves`."""
        return [p for name, of_group in self._grouped() if name not in self.leaves for p in of_group]

    def differentiate(self, loss: Tensor) -> None:
        """Let the gradient be that of a loss in the parameters, by autograd."""
        self._take(torch.autograd.grad(loss, self._parameters, materialize_grads=True))

    def take(self, of_leaves: Sequence[Tensor], of_others: Sequence[Tensor]) -> None:
        """Let these be the gradient: in the `leaves`, and in the `others_than_leaves`."""
        leaves, others, found = iter(of_leaves), iter(of_others), list[Tensor]()
        for name, of_group in self._grouped():
            found += [next(leaves)] if name in self.leaves else islice(others, len(of_group))
        self._take(found)

    def _take(self, gradients: Sequence[Tensor]) -> None:
        torch.cat([g.flatten() for g in gradients], out=self._gradient)

    def _grouped(self) -> Iterator[tuple[str, list[torch.nn.Parameter]]]:
        """The parameters that have one name within a block, with it, in the order of the vector."""
        start = 0
        for name, shapes in self._groups:
            yield name, self._parameters[start : start + len(shapes)]
            start += len(shapes)

    def state(self) -> dict[str, Any]:
        """The parameters and the buffers that are numbers, to be saved: three entries instead of hundreds."""
        buffers = [buffer.flatten() for buffer in self._buffers]
        return {
            "layout": self._layout,
            "parameters": self._flat,
            "buffers": torch.cat(buffers) if buffers else None,
        }

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave. Raises RuntimeError if it is of a model with other parameters."""
        if state["layout"] != self._layout:
            raise RuntimeError("The saved weights are those of another flow: use the settings that it had.")
        self._flat.copy_(state["parameters"])
        if self._buffers:
            places = state["buffers"].split([buffer.numel() for buffer in self._buffers])
            for buffer, place in zip(self._buffers, places, strict=True):
                buffer.copy_(place.view_as(buffer))

    @property
    def _buffers(self) -> list[Tensor]:
        return [buffer for buffer in self.model.buffers() if buffer.is_floating_point()]

    @property
    def _layout(self) -> str:
        """The names of what is stacked, and the shapes: one text, which is saved sooner than many numbers."""
        return repr([(name, [*map(tuple, shapes)]) for name, shapes in self._groups])

    def clip(self, most: float) -> float:
        """Shorten the gradient to the norm `most`, and return its norm before that."""
        norm = float(torch.linalg.vector_norm(self._gradient))
        if (share := most / (norm + 1e-6)) < 1.0:
            self._gradient.mul_(share)
        return norm


class GradientOfParts:
    """The gradient of a loss that is a sum of parts, each in turn. Where there are several, the weights that a residual
    flow's map has are made once for all of them, and differentiated once, at the end."""

    def __init__(self, weights: FlatParameters, parts: int, breathe: Breathe = without):
        self._weights, model = weights, weights.model
        flow = model.flow if isinstance(model, Hybrid) else model
        self._leaves, self._made = list(weights.leaves.values()), list[Tensor]()
        self._map: FlowMap | None = None
        if isinstance(flow, Flow):
            self._map = flow.map({name.removeprefix("flow."): leaf for name, leaf in weights.leaves.items()}, breathe)
            self._made = self._map.tensors if parts > 1 else []
        self._inputs = [tensor.detach().requires_grad_() for tensor in self._made] or self._leaves
        self._all_inputs = [*self._inputs, *weights.others_than_leaves]
        self._total = list[Tensor]()

    @property
    def map(self) -> FlowMap | None:
        """The map of a residual flow, for one part; None of another flow."""
        return self._map.at(self._inputs) if self._map and self._made else self._map

    def add(self, loss: Tensor) -> None:
        """Add the gradient of a part of the loss."""
        found = torch.autograd.grad(loss, self._all_inputs, materialize_grads=True)
        self._total = list(map(torch.add, self._total, found)) if self._total else list(found)

    def take(self) -> None:
        """Let the sum be the gradient of the weights."""
        of_inputs, of_others = self._total[: len(self._inputs)], self._total[len(self._inputs) :]
        if self._made:
            # Ones, in the place of scales that a flow has not, are made of no leaf.
            made = [pair for pair in zip(self._made, of_inputs, strict=True) if pair[0].requires_grad]
            of_made, of_inputs = map(list, zip(*made, strict=True))
            of_inputs = list(torch.autograd.grad(of_made, self._leaves, of_inputs, materialize_grads=True))
        self._weights.take(of_inputs, of_others)


def _within(name: str) -> str:
    """The name of a parameter within its block."""
    return re.sub(r"\bbijections\.\d+\.", "", name)
