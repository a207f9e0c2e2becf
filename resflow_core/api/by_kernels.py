"""Steps of a fit by compiled kernels: in the plane, once they are made (`resflow_core.training.compilation`)."""

from typing import Any

import torch
from torch import Tensor

from resflow_core.fast import compiled
from resflow_core.flow import PLANE
from resflow_core.log_det import LogDet, drawn
from resflow_core.training import compilation
from resflow_core.training.flat_parameters import FlatParameters
from resflow_core.training.step_work import points_a_part


class ByKernels:
    """The weights of a `ResidualFlow` as two long tensors, and the gradient of its loss in them. Its values are those
    of kernels too, until it is `released`."""

    def __init__(self, flow: Any):
        """Of a flow that can be `trained`."""
        self._flow, self._weights = flow.flow, FlatParameters(flow.flow)
        self._nll = compiled.CompiledNLL(self._flow, *self._weights.stacked())
        stacked, most = self._weights.stacked()[0], points_a_part(self._flow.config)
        self._flow.kernels = compiled.CompiledValues(self._flow, stacked, most)
        self.parameters = [self._weights.matrices, self._weights.others]

    def gradients(self, rows: Tensor, log_det: LogDet, generator: torch.Generator) -> tuple[float, list[Tensor]]:
        """The NLL of standardised points in nats, without their units, and its gradient in `parameters`."""
        how = drawn(log_det, len(self._flow.blocks), rows, generator)
        loss, _ = self._nll.of_parts([rows], [how])
        return loss, [*self._weights.gradient.split([len(part) for part in self.parameters])]

    def release(self) -> None:
        """Let each parameter have memory of its own again."""
        self._flow.kernels = None
        for parameter in self._weights.parameters:
            parameter.data = parameter.data.clone()


def trained(flow: Any) -> bool:
    """Whether kernels that are made already can train all of a `ResidualFlow`, whose base is N(0, I)."""
    if flow.context or flow.features != PLANE or flow._present_base() is not None or not compiled.takes(flow.log_det):
        return False
    if not all(parameter.requires_grad for parameter in flow.parameters()):
        return False
    try:
        return compiled.supports(flow.flow) and compilation.are_kept()
    except ModuleNotFoundError:
        return False
