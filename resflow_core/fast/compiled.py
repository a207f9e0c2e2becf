"""The pass of a batch through a flow in the plane by kernels that numba compiles (the extra "fast").

They compute the same as `by_hand.by_torch`, in float32, to the rounding of its sums. They are compiled when they are
first used on a machine, which takes some ten seconds, and kept in a folder of numba's (`NUMBA_CACHE_DIR`).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from resflow_core.extras import extra
from resflow_core.fast import by_hand
from resflow_core.fast.forward_mode import FoldedWeights


def supports(flow: Any) -> bool:
    """Whether there are kernels for a flow. Raises ModuleNotFoundError, with the remedy, without numba."""
    if not by_hand.supports(flow) or flow.dim != 2:
        return False
    parameter = next(flow.parameters())
    return parameter.dtype is torch.float32 and parameter.device.type == "cpu" and _kind(flow) is not None


def _kind(flow: Any) -> int | None:
    """The number that kernels have for an activation; None if they have not got it."""
    with extra("fast"):
        from resflow_core.fast.kernel.activations import KINDS
    form = flow.branches[0].closed_form
    return KINDS.get(form.derivatives) if form.is_elementwise else None


class CompiledPass:
    """A `by_hand.Pass`."""

    def __init__(self, flow: Any):
        """Of a flow that is `supports`ed."""
        with extra("fast"):
            from resflow_core.fast.kernel.whole_flow import Arrays, nll_gradient
        self._kind, self._run, self._arrays = _kind(flow), nll_gradient, Arrays

    def __call__(self, x: Tensor, scales: Tensor, shifts: Tensor, weights: FoldedWeights) -> by_hand.Passed:
        first, *middle, last = weights.weights
        first_b, *middle_b, last_b = (bias[:, :, 0] for bias in weights.biases)
        blocks, width = first_b.shape
        parts = (
            weights.entry_scale, scales[:, :, 0], shifts[:, :, 0], first, first_b,
            torch.stack(middle, 1) if middle else x.new_empty(blocks, 0, width, width),
            torch.stack(middle_b, 1) if middle_b else x.new_empty(blocks, 0, width),
            last, last_b,
        )  # fmt: skip
        of = self._arrays(*(part.contiguous().numpy() for part in parts))
        gradients = self._arrays(*map(np.zeros_like, of))
        nll = self._run(self._kind, x.contiguous().numpy(), of, gradients)
        d_beta, d_scales, d_shifts, *d_layers = map(torch.from_numpy, gradients)
        d_first, d_first_b, d_middle, d_middle_b, d_last, d_last_b = d_layers
        d_biases = [d_first_b, *d_middle_b.unbind(1), d_last_b]
        return by_hand.Passed(
            torch.tensor(nll + np.log(2 * np.pi)),
            d_beta,
            d_scales[:, :, None],
            d_shifts[:, :, None],
            [d_first, *d_middle.unbind(1), d_last, *(bias[:, :, None] for bias in d_biases)],
        )
