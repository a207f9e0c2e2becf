"""Flows in the plane by kernels that numba compiles (the extra "fast"): the training step, values and the inverse.

They compute the same as a `Flow`, in float32, to the rounding of their sums. They are compiled when they are first
used on a machine, which takes some five seconds each, and kept in a folder of numba's (`NUMBA_CACHE_DIR`).
"""

import functools
import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice, zip_longest
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.extras import extra
from resflow_core.fast.fused import by_autograd
from resflow_core.flow import Flow, FlowMap
from resflow_core.gradients import GRADIENTS
from resflow_core.lipschitz import MOST_GROWTH, Constraint, Soft, SpectralNorm, in_cache
from resflow_core.log_det import Cut, Drawn, Exact, LogDet, Roulette, Truncated, law_series
from resflow_core.norms.constraints import Hard
from resflow_core.residual import SCALE_RANGE, SCALE_SPEED, Branch, Sequential
from resflow_core.roulette import UNIFORM_STEP, Law, survival_table
from resflow_core.spectral_norm import top_singular_triples

FARTHEST = 1_000.0
"""Points with a coordinate beyond are left to torch."""
TOLERANCE = 1e-6
"""Of the inverse of a block, as `fixed_point` has it."""
INVERSE_PASSES = 4
"""An inverse usually takes as long as this many passes with the density."""
EXACTLY: dict[type[Constraint], bool] = {Soft: False, Hard: True}
"""The constraints that kernels have, and whether they keep W exactly at its cap."""


@functools.cache
def _kernel() -> Any:
    """The package `kernel`, which is imported when it is needed. Raises ModuleNotFoundError, with the remedy, without
    numba."""
    with extra("fast"):
        from resflow_core.fast import kernel
        from resflow_core.fast.kernel import activations, entries, parameters, series, whole_flow, workspace  # noqa: F401
    return kernel


def supports(flow: Any) -> bool:
    """Whether a flow can be trained by kernels: in the 2-norm. Raises ModuleNotFoundError as `evaluates`."""
    if not evaluates(flow):
        return False
    first: Any = flow.first_branch
    is_known = type(first.linears[0].constraint) in EXACTLY
    return is_known and first.raw_orders is None and all(isinstance(norm, SpectralNorm) for norm in first.norms)


def evaluates(flow: Any) -> TypeGuard[Flow]:
    """Whether kernels can compute a flow's values. Raises ModuleNotFoundError, with the remedy, without numba."""
    if type(flow) is not Flow or type(flow.first_branch) is not Branch or flow.dim != 2:
        return False
    return _is_single(next(flow.parameters())) and _kind(flow) is not None


def takes(log_det: LogDet) -> bool:
    """Whether kernels compute a loss by this log det, and its gradient."""
    return isinstance(log_det, Exact | Truncated | Roulette)


def _is_single(tensor: Tensor) -> bool:
    return tensor.dtype is torch.float32 and tensor.device.type == "cpu"


def _are_near(x: Tensor) -> bool:
    return _is_single(x) and not in_transform() and bool((x.detach().abs() < FARTHEST).all())


def in_transform() -> bool:
    """Whether torch.func transforms this computation (vmap, grad, hessian, ...), for which kernels have no rules."""
    active = getattr(torch._C, "_are_functorch_transforms_active", None)
    return bool(active and active())


def _kind(flow: Flow) -> int | None:
    """The number that kernels have for an activation; None if they have not got it."""
    activation = flow.first_branch.activation
    return _kernel().activations.KINDS.get(activation.function) if activation.is_elementwise else None


class _Compiled:
    def __init__(self, flow: Flow):
        """Of a flow that it `evaluates`."""
        self._kind, self._shape = _kind(flow), (flow.config.hidden_layers, flow.config.width)

    @property
    def _entries(self) -> Any:
        return _kernel().entries.ENTRIES

    def _room(self, points: int, blocks: int = 1) -> Any:
        workspace = _kernel().workspace
        return workspace.workspace(workspace.tile_size(points), blocks, *self._shape)

    def _arrays_of(self, tensors: Sequence[Tensor], blocks: int) -> Any:
        """`Arrays` of the `tensors` of a `FlowMap`."""
        rest = iter(tensors)
        scales, shifts = (torch.stack([*islice(rest, blocks + 1)])[:, :, 0] for _ in range(2))
        _, entry_scale, *layers = rest
        (first, *middle, last), biases = layers[: len(layers) // 2], layers[len(layers) // 2 :]
        first_b, *middle_b, last_b = (bias[:, :, 0] for bias in biases)
        width = first_b.shape[1]
        parts = (
            entry_scale, scales, shifts, first, first_b,
            torch.stack(middle, 1) if middle else first.new_empty(blocks, 0, width, width),
            torch.stack(middle_b, 1) if middle_b else first.new_empty(blocks, 0, width),
            last, last_b,
        )  # fmt: skip
        return _kernel().whole_flow.Arrays(*(part.detach().contiguous().numpy() for part in parts))


class _Fold:
    """From the parameters of a flow that is `supports`ed, stacked, to folded weights."""

    def __init__(self, flow: Flow, parameters: Mapping[str, Tensor]):
        kernel, blocks, width = _kernel(), flow.config.blocks, flow.config.width
        first: Any = flow.branches[0]
        self._parameters, self.layers = parameters, flow.config.hidden_layers + 1
        self._branches = flow.branches  # found again they would cost as much as folding
        self._raw = raw = _raw(parameters, self.layers)
        self.log_scales = 0.0
        self.limits = kernel.parameters.Limits(
            cap=float(first.linears[0].cap),
            exactly=(exactly := EXACTLY[type(first.linears[0].constraint)]),
            most=MOST_GROWTH if exactly else 1.0,
            constant=float(first.activation.lipschitz(2)),
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
            *map(np.empty_like, raw[3:]),
        )  # fmt: skip

    def is_of(self, flow: Flow) -> bool:
        """Whether the parameters are those of this flow, and no branch is scaled. A copy of a flow has its own."""
        first: Any = flow.first_branch
        there = first.linears[0].raw.data_ptr()
        if first is not self._branches[0] or there != self._parameters["branch.linears.0.raw"].data_ptr():
            return False
        return all([branch.scale == 1.0 for branch in self._branches])

    @property
    def raw(self) -> Any:
        """`Raw` of the parameters as they are now."""
        if self.layers > 3:
            self._raw = _raw(self._parameters, self.layers)
        return self._raw

    def arrays(self, breathe: Breathe = without) -> Any:
        """`Arrays`, which the next call overwrites, and `log_scales`, the sum of ActNorm's. The norms of square layers
        take long."""
        for i in range(1, self.layers - 1):
            s, u, v = _triples(self._parameters[f"branch.linears.{i}.raw"], breathe)
            self.triples.s[:, i] = s[:, 0, 0].numpy()
            self.triples.u[:, i], self.triples.v[:, i] = u[:, :, 0].numpy(), v[:, :, 0].numpy()
        self.log_scales = _kernel().entries.ENTRIES.fold(self.raw, self.triples, self.limits, self.folded)
        return self.folded


def _triples(weights: Tensor, breathe: Breathe) -> tuple[Tensor, Tensor, Tensor]:
    """`top_singular_triples` of a few matrices at a time, with s = NaN for those that are not finite."""
    found = list[tuple[Tensor, Tensor, Tensor]]()
    for some in in_cache(weights, SpectralNorm()):
        if found:
            breathe()
        finite = some.isfinite().flatten(1).all(1)[:, None, None]
        s, u, v = top_singular_triples(torch.where(finite, some, 0.0))
        found.append((torch.where(finite, s, torch.nan), u, v))
    s, u, v = map(torch.cat, zip(*found, strict=True))
    return s, u, v


def _raw(of: Mapping[str, Tensor], layers: int) -> Any:
    """`Raw` of parameters, or of what has their shapes: views, but for several layers between the first and the
    last."""
    weights, biases = ([of[f"branch.linears.{i}.{name}"].numpy() for i in range(layers)] for name in ("raw", "bias"))
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


def _side_by_side(parts: list[np.ndarray], empty: tuple[int, ...]) -> np.ndarray:
    """(blocks, parts, ...): a view of one part, a copy of several, `empty` of none."""
    if len(parts) == 1:
        return parts[0][:, None]
    return np.stack(parts, 1) if parts else np.empty(empty, np.float32)


class CompiledNLL(_Compiled):
    """The mean NLL in nats of a flow that is `supports`ed, and its gradient.

    `parameters` and `gradients` have the same names and shapes: what one name within a block, or an ActNorm, stands for
    in all of them, stacked.
    """

    def __init__(self, flow: Flow, parameters: Mapping[str, Tensor], gradients: Mapping[str, Tensor]):
        super().__init__(flow)
        self._fold, self._gradients = _Fold(flow, parameters), gradients
        self._gradient = _raw(gradients, self._fold.layers)
        self._d_of = type(self._fold.folded)(*map(np.empty_like, self._fold.folded))

    def __call__(self, x: Tensor) -> float:
        """The loss of points (batch, 2). Its gradient takes the place of what `gradients` hold."""
        return self.of_parts([x])[0]

    @torch.no_grad()
    def of_parts(
        self, parts: Sequence[Tensor], log_dets: Sequence[LogDet] = (), breathe: Breathe = without
    ) -> tuple[float, float]:
        """The loss by a log det for each part (default: exact), whose gradient takes the place of what `gradients`
        hold, and the exact NLL."""
        fold, d_of, gradient, batch = self._fold, self._d_of, self._gradient, sum(map(len, parts))
        of = fold.arrays(breathe)
        for part in d_of:
            part.fill(0.0)
        none = np.empty((0, 2), np.float32), np.empty(0, np.float32)
        found = np.full(2, math.log(2 * math.pi) - fold.log_scales)
        for k, (x, log_det) in enumerate(zip_longest(parts, log_dets)):
            if k:
                breathe()
            room, series = self._room(len(x), len(of.beta)), _series(log_det)
            points = x.contiguous().numpy()
            found += self._entries.gradients(self._kind, points, 1 / batch, *none, of, series, d_of, none[0], room)
        self._entries.unfold(fold.raw, fold.triples, fold.limits, d_of, gradient)
        if fold.layers > 3:
            for i in range(fold.layers - 2):
                self._gradients[f"branch.linears.{i + 1}.raw"].copy_(torch.from_numpy(gradient.middle[:, i]))
                self._gradients[f"branch.linears.{i + 1}.bias"].copy_(torch.from_numpy(gradient.middle_b[:, i]))
        return float(found[0]), float(found[1])


def _series(log_det: LogDet | None) -> Any:
    """A kernel's `Series` of what was drawn; of the exact log det without one."""
    kernel = _kernel().series
    if not isinstance(log_det, Drawn):
        return kernel.NO_SERIES
    draws, by_neumann = log_det.draws, GRADIENTS[log_det.log_det.gradient].by_neumann
    return kernel.Series(
        kernel.NEUMANN if by_neumann else kernel.TERM_BY_TERM,
        draws.probes.contiguous().numpy(), draws.u.contiguous().numpy(),
        *_table(draws.law, draws.exact_traces), draws.exact_traces,
    )  # fmt: skip


@functools.lru_cache(maxsize=64)
def _table(law: Law | Cut, exact_traces: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P(N >= k), a_k / P(N >= k) and b_k / P(N >= k) for k = 0, 1, ... up to the largest N that is ever drawn."""
    most = law.n if isinstance(law, Cut) else len(survival_table(law, UNIFORM_STEP))
    series = law_series(law, most).beyond(exact_traces)
    value, slope = (of[0].float().contiguous().numpy() for of in (series.value, series.gradient))
    return law.survival(torch.arange(most + 1)).numpy(), value, slope


class CompiledValues(_Compiled):
    """The `Kernels` of a flow. Points are (batch, 2)."""

    def __init__(self, flow: Flow, parameters: Mapping[str, Tensor] | None = None, points_a_part: int = 2**16):
        """Of a flow that it `evaluates`. `parameters` are its own, stacked, where they are at hand: in small flows it
        takes as long to stack them as to compute a picture. One call of a kernel passes about `points_a_part`."""
        super().__init__(flow)
        self._points = points_a_part
        # The norms of square layers take long, and what is made of them is remembered (`lipschitz.constrained`).
        has_none = flow.config.hidden_layers == 1
        self._fold = _Fold(flow, parameters) if parameters and has_none and supports(flow) else None

    def folded(self, flow: Flow) -> tuple[np.ndarray, np.ndarray, Sequential] | None:
        if not (self._fold and self._fold.is_of(flow)):
            return None
        of = self._fold.arrays()
        weights, biases = [of.first, of.last], [of.first_b, of.last_b]
        return of.scales, of.shifts, Sequential(flow.first_branch.activation, of.beta, weights, biases)

    def takes(self, flow: Flow, x: Tensor) -> bool:
        return not torch.is_grad_enabled() and _is_single(next(flow.parameters())) and _are_near(x)

    def forward_and_log_det(self, flow: Flow, x: Tensor) -> tuple[Tensor, Tensor]:
        """z, and log|det dz/dx| without ActNorm's part, (batch,)."""
        z, log_det, _, _ = self._forward(flow, x)
        return z, log_det

    def differentiates(self, x: Tensor) -> bool:
        return torch.is_grad_enabled() and _are_near(x)

    def differentiable(self, f: FlowMap, x: Tensor, log_det: LogDet) -> tuple[Tensor, Tensor]:
        """As `forward_and_log_det`, by a log det of which all is drawn, with gradients."""
        z, log_dets = _Differentiable.apply(self, f, log_det, x, *f.tensors)
        return z, log_dets

    def forward_and_jacobians(self, flow: Flow, x: Tensor) -> tuple[Tensor, Tensor]:
        z, _, jacobians, _ = self._forward(flow, x, jacobians=len(x))
        return z, jacobians

    def stages(self, flow: Flow, x: Tensor) -> list[Tensor]:
        z, _, _, stages = self._forward(flow, x, stages=flow.config.blocks)
        return [x, *stages.unbind(), z]

    def _forward(self, flow: Flow, x: Tensor, jacobians: int = 0, stages: int = 0) -> tuple[Tensor, ...]:
        """z, log dets, the Jacobians of so many points, and the points after so many blocks: all of them, or none."""
        of, blocks, found = self._arrays(flow), flow.config.blocks, list[list[np.ndarray]]()
        room = self._room(len(x))
        for part in _whole_tiles(x, room, self._points):
            n = len(part)
            shapes = (n, 2), (n,), (n * bool(jacobians), blocks, 2, 2), (stages, n, 2)
            found.append([np.empty(shape, np.float32) for shape in shapes])
            self._entries.forward(self._kind, part.contiguous().numpy(), of, _series(None), *found[-1], room)
        if len(found) == 1:
            return tuple(map(torch.from_numpy, found[0]))
        joined = map(np.concatenate, zip(*found, strict=True), (0, 0, 0, 1))
        return tuple(map(torch.from_numpy, joined))

    def _arrays(self, flow: Flow) -> Any:
        if self._fold and self._fold.is_of(flow):
            return self._fold.arrays()
        return self._arrays_of(flow.map().tensors, flow.config.blocks)

    def inverse(self, flow: Flow, z: Tensor, bounds: list[float]) -> Tensor | None:
        """x, or None unless every point is certified, in the 2-norm."""
        if not all(isinstance(norm, SpectralNorm) for norm in flow.branches[0].norms):
            return None
        of, limits, found = self._arrays(flow), np.array(bounds, np.float32), list[Tensor]()
        room = self._room(len(z))
        for part in _whole_tiles(z, room, self._points // INVERSE_PASSES):
            x, points = np.empty((len(part), 2), np.float32), part.contiguous().numpy()
            if self._entries.inverse(self._kind, points, of, limits, np.float32(TOLERANCE), x, room):
                return None
            found.append(torch.from_numpy(x))
        return torch.cat(found) if len(found) > 1 else found[0]


def _whole_tiles(x: Tensor, room: Any, points: int) -> Sequence[Tensor]:
    """x, (batch, 2), in parts of about so many points. Their tiles are those of the whole batch: the rounding of a
    point depends on its tile."""
    size = room.p.shape[1]
    return x.split(max(1, points // size) * size)


class _Differentiable(torch.autograd.Function):
    """z and the log dets by the `tensors` of a map. The backward pass goes through the blocks again: a kernel keeps
    nothing. A gradient that is differentiated in its turn is taken by autograd from the map itself."""

    @staticmethod
    def forward(ctx, compiled, f, log_det, x, *tensors):
        ctx.compiled, ctx.f, ctx.log_det = compiled, f, log_det
        ctx.save_for_backward(x, *tensors)
        z, log_dets, blocks = torch.empty(len(x), 2), torch.empty(len(x)), len(f.scales) - 1
        none = np.empty((0, blocks, 2, 2), np.float32), np.empty((0, len(x), 2), np.float32)
        compiled._entries.forward(
            compiled._kind, x.contiguous().numpy(), compiled._arrays_of(tensors, blocks),
            _series(log_det), z.numpy(), log_dets.numpy(), *none, compiled._room(len(x)),
        )  # fmt: skip
        return z, log_dets

    @staticmethod
    def backward(ctx, d_z, d_log_dets):
        (x, *tensors), compiled = ctx.saved_tensors, ctx.compiled
        if torch.is_grad_enabled():
            function = partial(_log_dets, log_det=ctx.log_det)
            return None, None, None, *by_autograd(ctx.f, function, (x, *tensors), (d_z, d_log_dets))
        of = compiled._arrays_of(tensors, len(ctx.f.scales) - 1)
        gradient, d_x = type(of)(*(np.zeros_like(part) for part in of)), torch.empty_like(x)
        compiled._entries.gradients(
            compiled._kind, x.contiguous().numpy(), 1.0, d_z.contiguous().numpy(), d_log_dets.contiguous().numpy(), of,
            _series(ctx.log_det), gradient, d_x.numpy(), compiled._room(len(x), len(of.beta)),
        )  # fmt: skip
        found = map(torch.from_numpy, gradient)
        d_entry, d_scales, d_shifts, first, first_b, middle, middle_b, last, last_b = found
        weights = [first, *middle.unbind(1), last]
        biases = [bias[:, :, None] for bias in (first_b, *middle_b.unbind(1), last_b)]
        scales, shifts = d_scales[:, :, None].unbind(), d_shifts[:, :, None].unbind()
        return None, None, None, d_x, *scales, *shifts, None, d_entry, *weights, *biases


def _log_dets(f: FlowMap, x: Tensor, log_det: LogDet) -> tuple[Tensor, Tensor]:
    z, log_dets = f.forward_and_log_dets(x, log_det, None)
    return z, log_dets.sum(0)
