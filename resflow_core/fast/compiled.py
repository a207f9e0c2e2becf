"""Flows in the plane by kernels that numba compiles (the extra "fast"): the training step, values and the inverse.

They compute the same as `by_hand` and `FusedFlow`, in float32, to the rounding of their sums. They are
compiled when they are first used on a machine, which takes some five seconds each, and kept in a folder of numba's
(`NUMBA_CACHE_DIR`).
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from resflow_core.extras import extra
from resflow_core.fast import by_hand, capped
from resflow_core.fast.capped import triples_in_pieces
from resflow_core.fast.closed_forms import ClosedForm
from resflow_core.fast.folding import FoldedBranch
from resflow_core.fast.forward_mode import FoldedWeights
from resflow_core.fast.fused_flow import FusedFlow
from resflow_core.fast.pieces import Pieces, finished
from resflow_core.lipschitz import MOST_GROWTH, SpectralNorm
from resflow_core.residual import SCALE_RANGE, SCALE_SPEED

FARTHEST = 1_000.0
"""Points with a coordinate beyond are left to torch."""
TOLERANCE = 1e-6
"""Of the inverse of a block, as `fixed_point` has it."""


@functools.cache
def _kernel() -> Any:
    """The package `kernel`, which is imported when it is needed. Raises ModuleNotFoundError, with the remedy, without
    numba."""
    with extra("fast"):
        from resflow_core.fast import kernel
        from resflow_core.fast.kernel import activations, entries, parameters, whole_flow, workspace  # noqa: F401
    return kernel


def supports(flow: Any) -> bool:
    """Whether a flow can be trained by kernels. Raises ModuleNotFoundError as `evaluates`."""
    return evaluates(flow) and by_hand.supports(flow)


def evaluates(flow: Any) -> TypeGuard[FusedFlow]:
    """Whether kernels can compute a flow's values. Raises ModuleNotFoundError, with the remedy, without numba."""
    if not isinstance(flow, FusedFlow) or flow.branch is not FoldedBranch or flow.dim != 2:
        return False
    return _is_single(flow) and _kind(flow) is not None


def _is_single(flow: FusedFlow) -> bool:
    parameter = next(flow.parameters())
    return parameter.dtype is torch.float32 and parameter.device.type == "cpu"


def _kind(flow: FusedFlow) -> int | None:
    """The number that kernels have for an activation; None if they have not got it."""
    form: ClosedForm = flow.branches[0].closed_form  # type: ignore[assignment]
    return _kernel().activations.KINDS.get(form.derivatives) if form.is_elementwise else None


class _Compiled:
    def __init__(self, flow: FusedFlow):
        """Of a flow that it `evaluates`."""
        self._kind, self._shape = _kind(flow), (flow.config.hidden_layers, flow.config.width)

    @property
    def _entries(self) -> Any:
        return _kernel().entries.ENTRIES

    def _room(self, points: int, blocks: int = 1) -> Any:
        workspace = _kernel().workspace
        return workspace.workspace(workspace.tile_size(points), blocks, *self._shape)

    def _folded(self, scales: Tensor, shifts: Tensor, weights: FoldedWeights) -> Any:
        """`Arrays` of stacked weights; scales and shifts are (blocks + 1, 2)."""
        first, *middle, last = weights.weights
        first_b, *middle_b, last_b = (bias[:, :, 0] for bias in weights.biases)
        blocks, width = first_b.shape
        parts = (
            weights.entry_scale, scales, shifts, first, first_b,
            torch.stack(middle, 1) if middle else first.new_empty(blocks, 0, width, width),
            torch.stack(middle_b, 1) if middle_b else first.new_empty(blocks, 0, width),
            last, last_b,
        )  # fmt: skip
        return _kernel().whole_flow.Arrays(*(part.detach().contiguous().numpy() for part in parts))


class _Fold:
    """From the parameters of a flow that is `supports`ed, stacked as in `by_hand.ExactNLL`, to folded weights."""

    def __init__(self, flow: FusedFlow, parameters: Mapping[str, Tensor]):
        kernel, blocks, width = _kernel(), flow.config.blocks, flow.config.width
        first: Any = flow.branches[0]
        self._parameters, self.layers = parameters, flow.config.hidden_layers + 1
        self.limits = kernel.parameters.Limits(
            cap=float(first.linears[0].cap),
            exactly=(exactly := capped.BY_HAND[type(first.linears[0].constraint)]),
            most=MOST_GROWTH if exactly else 1.0,
            constant=float(first.closed_form.lipschitz(2)),
            initial_scale=float(first.activation.initial_scale or 1.0),
            speed=SCALE_SPEED,
            log_range=math.log(SCALE_RANGE),
        )
        self.triples = kernel.parameters.Triples(
            np.empty((blocks, self.layers)), np.empty((blocks, self.layers)),
            np.empty((blocks, self.layers, width)), np.empty((blocks, self.layers, width)),
        )  # fmt: skip
        self.folded = kernel.whole_flow.Arrays(
            np.empty(blocks, np.float32), *(np.empty((blocks + 1, 2), np.float32) for _ in range(2)),
            *map(np.empty_like, self.raw()[3:]),
        )  # fmt: skip

    def is_of(self, flow: FusedFlow) -> bool:
        """Whether the parameters are those of this flow, and no branch is scaled. A copy of a flow has its own."""
        here = self._parameters["branch.linears.0.raw"].data_ptr()
        branches: list[Any] = flow.branches
        return branches[0].linears[0].raw.data_ptr() == here and all(branch.scale == 1.0 for branch in branches)

    def raw(self, parameters: Mapping[str, Tensor] | None = None) -> Any:
        """`Raw` of the parameters, or of what has their shapes: views, but for several layers between the first and the
        last."""
        of = self._parameters if parameters is None else parameters
        weights, biases = (
            [of[f"branch.linears.{i}.{name}"].numpy() for i in range(self.layers)] for name in ("raw", "bias")
        )
        first, *middle, last = weights
        first_b, *middle_b, last_b = biases
        blocks, width, _ = first.shape
        none = np.empty((blocks, 0), np.float32), np.empty((0, 2), np.float32)
        return _kernel().parameters.Raw(
            of["branch.raw_scales"].numpy() if "branch.raw_scales" in of else none[0],
            *(of[name].numpy() if name in of else none[1] for name in ("log_scale", "shift")),
            first, first_b, _side_by_side(middle, (blocks, 0, width, width)),
            _side_by_side(middle_b, (blocks, 0, width)), last, last_b,
        )  # fmt: skip

    def pieces(self) -> Pieces[Any]:
        """`Arrays`, which the next call overwrites. The norms of square layers take long."""
        for i in range(1, self.layers - 1):
            s, u, v = yield from triples_in_pieces(self._parameters[f"branch.linears.{i}.raw"])
            self.triples.s[:, i] = s[:, 0, 0].numpy()
            self.triples.u[:, i], self.triples.v[:, i] = u[:, :, 0].numpy(), v[:, :, 0].numpy()
        _kernel().entries.ENTRIES.fold(self.raw(), self.triples, self.limits, self.folded)
        return self.folded


class CompiledNLL(_Compiled):
    """As `by_hand.ExactNLL`, for a flow that is `supports`ed."""

    def __init__(self, flow: FusedFlow, parameters: Mapping[str, Tensor], gradients: Mapping[str, Tensor]):
        super().__init__(flow)
        self._fold, self._gradients = _Fold(flow, parameters), gradients
        self._d_of = type(self._fold.folded)(*map(np.empty_like, self._fold.folded))

    def __call__(self, x: Tensor) -> Tensor:
        return finished(self.pieces([x]))

    @torch.no_grad()
    def pieces(self, parts: Sequence[Tensor]) -> Pieces[Tensor]:
        fold, d_of, batch = self._fold, self._d_of, sum(map(len, parts))
        of = yield from fold.pieces()
        raw, gradient = fold.raw(), fold.raw(self._gradients)
        for part in d_of:
            part.fill(0.0)
        nll = math.log(2 * math.pi) - float(raw.log_scales.sum())
        for k, x in enumerate(parts):
            if k:
                yield
            room = self._room(len(x), len(of.beta))
            nll += self._entries.nll_gradient(self._kind, x.contiguous().numpy(), 1 / batch, of, d_of, room)
        self._entries.unfold(raw, fold.triples, fold.limits, d_of, gradient)
        if fold.layers > 3:
            for i in range(fold.layers - 2):
                self._gradients[f"branch.linears.{i + 1}.raw"].copy_(torch.from_numpy(gradient.middle[:, i]))
                self._gradients[f"branch.linears.{i + 1}.bias"].copy_(torch.from_numpy(gradient.middle_b[:, i]))
        return torch.tensor(nll)


def _side_by_side(parts: list[np.ndarray], empty: tuple[int, ...]) -> np.ndarray:
    """(blocks, parts, ...): a view of one part, a copy of several, `empty` of none."""
    if len(parts) == 1:
        return parts[0][:, None]
    return np.stack(parts, 1) if parts else np.empty(empty, np.float32)


class CompiledValues(_Compiled):
    """The `fused_flow.Values` of a flow. Points are (batch, 2)."""

    def __init__(self, flow: FusedFlow, parameters: Mapping[str, Tensor] | None = None):
        """Of a flow that it `evaluates`. `parameters` are its own, stacked, where they are at hand: in small flows it
        takes as long to stack them as to compute a picture."""
        super().__init__(flow)
        # The norms of square layers take long, and what is made of them is remembered (`folding`).
        has_none = flow.config.hidden_layers == 1
        self._fold = _Fold(flow, parameters) if parameters and has_none and supports(flow) else None

    def takes(self, flow: FusedFlow, x: Tensor) -> bool:
        return not torch.is_grad_enabled() and _is_single(flow) and bool((x.abs() < FARTHEST).all())

    def forward_and_log_det(self, flow: FusedFlow, x: Tensor) -> tuple[Tensor, Tensor]:
        """z, and log|det dz/dx| without ActNorm's part, (batch,)."""
        z, log_det, _, _ = self._forward(flow, x)
        return z, log_det

    def forward_and_jacobians(self, flow: FusedFlow, x: Tensor) -> tuple[Tensor, Tensor]:
        z, _, jacobians, _ = self._forward(flow, x, jacobians=len(x))
        return z, jacobians

    def stages(self, flow: FusedFlow, x: Tensor) -> list[Tensor]:
        z, _, _, stages = self._forward(flow, x, stages=flow.config.blocks)
        return [x, *stages.unbind(), z]

    def _forward(self, flow: FusedFlow, x: Tensor, jacobians: int = 0, stages: int = 0) -> tuple[Tensor, ...]:
        """z, log dets, the Jacobians of so many points, and the points after so many blocks: all of them, or none."""
        blocks = flow.config.blocks
        shapes = (len(x), 2), (len(x),), (jacobians, blocks, 2, 2), (stages, len(x), 2)
        found = [np.empty(shape, np.float32) for shape in shapes]
        self._entries.forward(self._kind, x.contiguous().numpy(), self._arrays(flow), *found, self._room(len(x)))
        return tuple(map(torch.from_numpy, found))

    def _arrays(self, flow: FusedFlow) -> Any:
        if self._fold and self._fold.is_of(flow):
            return finished(self._fold.pieces())
        return self._folded(*flow.folded())

    def inverse(self, flow: FusedFlow, z: Tensor, bounds: list[float]) -> Tensor | None:
        """x, or None unless every point is certified, in the 2-norm."""
        if not all(isinstance(norm, SpectralNorm) for norm in flow.branches[0].norms):
            return None
        x, limits = np.empty((len(z), 2), np.float32), np.array(bounds, np.float32)
        of = self._arrays(flow)
        points, room = z.contiguous().numpy(), self._room(len(z))
        failed = self._entries.inverse(self._kind, points, of, limits, np.float32(TOLERANCE), x, room)
        return None if failed else torch.from_numpy(x)
