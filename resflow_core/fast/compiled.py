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
    """A `by_hand.Pass`. Not for several threads: the gradients that it returns are overwritten by its next call."""

    def __init__(self, flow: Any):
        """Of a flow that is `supports`ed."""
        with extra("fast"):
            from resflow_core.fast.kernel.whole_flow import Arrays, nll_gradient
        self._kind, self._run, self._arrays = _kind(flow), nll_gradient, Arrays
        n, width, layers = flow.config.blocks, flow.config.width, flow.config.hidden_layers
        self._gradients = Arrays(
            *(
                np.zeros(shape, np.float32)
                for shape in (
                    (n,), (n + 1, 2), (n + 1, 2), (n, width, 2), (n, width),
                    (n, layers - 1, width, width), (n, layers - 1, width), (n, 2, width), (n, 2),
                )
            )
        )  # fmt: skip

    def __call__(self, x: Tensor, scales: Tensor, shifts: Tensor, weights: FoldedWeights) -> by_hand.Passed:
        first, *middle, last = weights.weights
        first_b, *middle_b, last_b = weights.biases
        of = self._arrays(
            *(
                part.detach().contiguous().numpy()
                for part in (
                    weights.entry_scale, scales[:, :, 0], shifts[:, :, 0], first, first_b[:, :, 0],
                    _together(middle, self._gradients.middle), _together(middle_b, self._gradients.middle_b),
                    last, last_b[:, :, 0],
                )
            )
        )  # fmt: skip
        for part in self._gradients:
            part.fill(0)
        nll = self._run(self._kind, x.contiguous().numpy(), of, self._gradients)
        found = self._arrays(*map(torch.from_numpy, self._gradients))
        d_weights = [found.first, *found.middle.unbind(1), found.last]
        d_biases = [found.first_b, *found.middle_b.unbind(1), found.last_b]
        return by_hand.Passed(
            torch.tensor(nll + np.log(2 * np.pi)),
            found.beta,
            found.scales[:, :, None],
            found.shifts[:, :, None],
            [*d_weights, *(bias[:, :, None] for bias in d_biases)],
        )


def _together(layers: list[Tensor], like: np.ndarray) -> Tensor:
    """The layers between the first and the last, (blocks, layers, ...)."""
    if not layers:
        return torch.from_numpy(like)
    return torch.stack(layers, 1).reshape(like.shape)
