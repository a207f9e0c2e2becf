"""A residual flow as a density in your own units: fit it, ask it for densities, draw from it, keep it as a file."""

import os
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from resflow_core.api import bases
from resflow_core.api.choices import (
    activation_name,
    generator_of,
    log_det_of,
    one_generator,
    points_of,
    shape_of,
)
from resflow_core.api.conditional import ConditionalFlow
from resflow_core.api.distribution import FlowDistribution
from resflow_core.api.fitting import Fit, fit
from resflow_core.api.implicit import with_gradient
from resflow_core.api.sizes import sizes_for
from resflow_core.api.stream import OwnStream, from_state
from resflow_core.fast.compiled import in_transform
from resflow_core.flow import MOST_DIM, Flow, FlowConfig, standard_normal_log_prob
from resflow_core.log_det import Exact, LogDet
from resflow_core.settings import told

# Points that lie further than this many standard deviations from the data are probably in other units.
FAR = 20.0
# Numbers in the Jacobians of a chunk, where no gradient is needed.
CHUNK_NUMBERS = 2**23
DTYPES = (torch.float32, torch.float64)


class ResidualFlow(OwnStream):
    """A density on R^d that is fitted to points, in their own units:

        log p(x) = log p_base(f(u)) + log|det df/du| - sum_i log s_i,   u_i = (x_i - m_i) / s_i      (nats)

    f is a residual flow, a chain of blocks u + g(u) with Lip(g) < 1, and `fit` sets m and s to mean and standard
    deviation of the points. Before it, m = 0 and s = 1.

    Args:
        features: d, the numbers of a point, from 1 to 256.
        context: numbers of the context c of a conditional density p(x | c); 0 for none.
        seed: a number or a `torch.Generator`. It fixes the first weights, the batches, and the draws without a seed of
            their own. torch's global generator is never used.
        log_det: how the log det is computed: "exact", "roulette", "truncated", or a value, e.g. `rf.Roulette()`. `fit`
            trains with it, and `log_prob` uses it unless told otherwise.
        activation: a name, or `rf.formula("sin(z)")`.
        base: the distribution of z: any one with `log_prob` and `sample` on all of R^d, e.g.
            `torch.distributions.StudentT(3.0)`, which then holds for each coordinate. An nn.Module whose `forward()`
            returns a distribution is trained along. None: the standard normal.
        branch: how the layers inside a block are joined: "residual", one after the other, or "dense", as in i-DenseNets
            (Perugachi-Diaz et al. 2021). A conditional flow needs "residual".
        blocks, width: sizes. None for what suits d and the number of points: the first `fit` builds the flow anew with
            them, unless its weights were changed before. So make an optimiser of your own after it, or give the sizes.
        hidden_layers, budget: of each block, and its bound L; None for what suits d.
        dtype: torch.float32 or torch.float64.
        device: where the parameters are, e.g. "cuda".

    Raises:
        ValueError: for arguments that cannot be used. The message says which can.

    A flow is an `nn.Module`: `parameters()`, `state_dict()`, `.to(...)`, `.double()`, pickle, `copy.deepcopy` and
    `torch.save` work. `save` writes a file without code.

    Example:
        >>> import torch, resflow_core as rf
        >>> X = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)) * 5 + 100
        >>> flow = rf.ResidualFlow(features=2, seed=0, blocks=2, width=8).fit(X, steps=20)
        >>> flow.log_prob(X[:6].reshape(2, 3, 2)).shape
        torch.Size([2, 3])
        >>> flow.sample((3, 4)).shape
        torch.Size([3, 4, 2])
    """

    _given_sizes: dict[str, Any] | None  # those of the caller, which `fit` keeps; None: all are kept
    flow: Flow
    centre: Tensor
    scale: Tensor
    context_centre: Tensor
    context_scale: Tensor

    def __init__(
        self,
        features: int = 2,
        *,
        context: int = 0,
        seed: "int | torch.Generator" = 0,
        log_det: "str | LogDet" = "exact",
        activation: Any = "sine",
        branch: str = "residual",
        base: Any = None,
        blocks: int | None = None,
        width: int | None = None,
        hidden_layers: int | None = None,
        budget: float | None = None,
        dtype: torch.dtype = torch.float32,
        device: "str | torch.device | None" = None,
    ):
        super().__init__()
        _check_count("features", features, 1, MOST_DIM)
        _check_count("context", context, 0, 10_000)
        if dtype not in DTYPES:
            raise ValueError(f"dtype = {told(dtype)}: use torch.float32 or torch.float64.")
        sizes = {"blocks": blocks, "width": width, "hidden_layers": hidden_layers, "budget": budget}
        given = {name: value for name, value in sizes.items() if value is not None}
        config = FlowConfig(
            **(sizes_for(features) | given), activation=activation_name(activation), branch=branch, dim=features
        )
        self._begin(config, context, log_det_of(log_det), generator_of(seed))
        self._set_base(base)
        self._given_sizes = given
        self.to(device=device, dtype=dtype)

    def _begin(self, config: FlowConfig, context: int, log_det: LogDet, generator: torch.Generator) -> None:
        self.context, self.log_det = context, log_det
        weights = generator if generator.device.type == "cpu" else generator_of(generator.initial_seed())
        self._origin = weights.get_state()
        self._build(config, weights)
        self._given_sizes = None
        self.register_buffer("centre", torch.zeros(config.dim, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(config.dim, dtype=torch.float64))
        self.register_buffer("context_centre", torch.zeros(context, dtype=torch.float64))
        self.register_buffer("context_scale", torch.ones(context, dtype=torch.float64))
        self.fitted: Fit | None = None
        self._base: bases.Base | None = None
        self.base_module: bases.LazyBase | None = None

    def _build(self, config: FlowConfig, weights: torch.Generator) -> None:
        self.config = config
        self.flow = self._first(config, weights)
        # Draws without a seed of their own. The next number of the generator, so that it repeats no weights.
        self._stream = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=weights)))

    def _first(self, config: FlowConfig, weights: torch.Generator) -> Flow:
        """The flow before its first step."""
        return ConditionalFlow(config, self.context, weights) if self.context else config.build(weights)

    def _suit(self, points: int) -> None:
        """Build the flow anew with sizes that suit so many points, as if they had been given to the constructor.

        Not if its weights are no longer the first ones, or are frozen: then they are meant to stay.
        """
        config = self._for_points(points)
        if config == self.config or not self._untouched():
            return
        dtype, device = self.dtype, self.device
        self._build(config, from_state(self._origin))
        self.flow.to(device=device, dtype=dtype).train(self.training)

    def _for_points(self, points: int) -> FlowConfig:
        if self._given_sizes is None:
            return self.config
        return replace(self.config, **(sizes_for(self.features, points) | self._given_sizes))

    def _untouched(self) -> bool:
        first = self._first(self.config, from_state(self._origin))
        return all(
            now.requires_grad and torch.equal(now.detach().cpu(), then.detach().to(now.dtype))
            for now, then in zip(self.flow.parameters(), first.parameters(), strict=True)
        )

    def _set_base(self, base: Any) -> None:
        if isinstance(base, nn.Module) and not hasattr(base, "log_prob"):
            self.base_module = bases.LazyBase(base, self.features)
        elif base is not None:
            self._base = bases.base_of(base, self.features)

    @property
    def features(self) -> int:
        """d, the numbers of a point."""
        return self.config.dim

    @property
    def base(self) -> Any:
        """The distribution of z."""
        if (base := self._present_base()) is not None:
            return base.distribution
        zeros = torch.zeros(self.features, dtype=self.dtype, device=self.device)
        return torch.distributions.Independent(torch.distributions.Normal(zeros, torch.ones_like(zeros)), 1)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the parameters, and of all results."""
        return next(self.flow.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.flow.parameters()).device

    def lipschitz_bounds(self) -> list[float]:
        """The certified bound L >= Lip(g) of each block.

        >>> import resflow_core as rf
        >>> [round(bound, 2) for bound in rf.ResidualFlow(2, blocks=2, width=8).lipschitz_bounds()]
        [0.99, 0.99]
        """
        return self.flow.lipschitz_bounds()

    def fit(
        self,
        X: Any,
        *,
        seconds: float | None = None,
        steps: int | None = None,
        validation: Any = 0.1,
        context: Any = None,
        batch: int | None = None,
        learning_rate: float | None = None,
        progress: bool | None = None,
    ) -> "ResidualFlow":
        """Fit the flow to points by maximum likelihood. Returns the flow; `flow.fitted` says what was chosen and found.

        The first fit standardises the points, and keeps their mean and standard deviation within the flow. Sizes that
        the constructor was not given are then chosen for the number of points. A further fit goes on from the weights,
        in the same units. The weights that fit the validation points best are kept, and
        training stops if those do not improve for long. With `steps`, the same seed gives the same weights; with
        `seconds` their number depends on the machine.

        In the plane compiled kernels take the steps of a float32 flow with the base N(0, I), about ten times as fast,
        once they are made: `python -m resflow_core.training.compilation`. They round differently than torch.
        `flow.fitted` says which it was.

        Args:
            X: points, (n, features), in their own units: an array or tensor of any float type.
            seconds, steps: how long to train, at most; 2,000 steps if neither is given.
            validation: the share of the points that is held out, or points of their own, (m, features); with a context,
                (points, contexts). 0: none, and the last weights are kept.
            context: the context of each point, (n, context).
            batch, learning_rate: of the optimiser (AdamW); None for what suits the points.
            progress: whether to draw a bar; None: only on a terminal.

        Raises:
            ValueError: for points that are not finite, do not vary, or lie in a plane of fewer dimensions.
            Diverged: if the loss stops being finite. The best weights are kept.

        Example:
            >>> import numpy as np, resflow_core as rf
            >>> X = np.random.default_rng(0).normal(50, 10, (200, 2))
            >>> flow = rf.ResidualFlow(2, blocks=2, width=8).fit(X, steps=20)
            >>> flow.fitted.steps <= 20
            True
        """
        return fit(self, X, seconds, steps, validation, context, batch, learning_rate, progress)

    def log_prob(
        self,
        x: Any,
        context: Any = None,
        *,
        log_det: "str | LogDet | None" = None,
        seed: "int | torch.Generator | None" = None,
        generator: "torch.Generator | None" = None,
    ) -> Tensor:
        """log p(x) in nats, in the units of x: (..., features) -> (...). Differentiable, any number of times if exact.

        With an estimator (`log_det`, or that of the flow) it is the estimate, drawn by `seed`. Warns if the points are
        so far from the data that they are probably in other units.

        >>> import resflow_core as rf
        >>> rf.ResidualFlow(2, blocks=2, width=8).log_prob([[0.0, 1.0], [2.0, 3.0]]).shape
        torch.Size([2])
        """
        how = self.log_det if log_det is None else log_det_of(log_det)
        rows, contexts, shape = self._rows(x, context)
        generator = one_generator(seed, generator, self._stream)
        parts = self._chunks(rows, contexts, how)
        found = [self._log_prob(part, given, how, generator) for part, given in parts]
        return (found[0] if len(found) == 1 else torch.cat(found)).view(shape)

    def forward_and_log_det(
        self,
        x: Any,
        context: Any = None,
        *,
        log_det: "str | LogDet | None" = None,
        seed: "int | torch.Generator | None" = None,
        generator: "torch.Generator | None" = None,
    ) -> tuple[Tensor, Tensor]:
        """z, (..., features), and log|det dz/dx| in nats, (...), per own units; exact or estimated as in `log_prob`.

        >>> import resflow_core as rf
        >>> z, log_det = rf.ResidualFlow(2, blocks=2, width=8).forward_and_log_det([0.0, 1.0])
        >>> z.shape, log_det.shape
        (torch.Size([2]), torch.Size([]))
        """
        how = self.log_det if log_det is None else log_det_of(log_det)
        rows, contexts, shape = self._rows(x, context)
        with self._given(contexts):
            z, log_dets = self.flow.forward_and_log_det(rows, how, one_generator(seed, generator, self._stream))
        log_dets = log_dets - self.scale.log().sum().to(rows.dtype)
        return z.view(*shape, self.features), log_dets.view(shape)

    def forward(self, x: Any, context: Any = None) -> Tensor:
        """z = f(u), the latent points: (..., features) -> (..., features).

        >>> import resflow_core as rf
        >>> rf.ResidualFlow(2, blocks=2, width=8)([0.0, 1.0]).shape
        torch.Size([2])
        """
        rows, contexts, shape = self._rows(x, context)
        with self._given(contexts):
            return self.flow(rows).view(*shape, self.features)

    def inverse(self, z: Any, context: Any = None) -> Tensor:
        """x = f^-1(z) in its own units, (..., features) -> (..., features), by a solver with a certified error.

        If z requires gradients, the result has them in z and in the parameters. Raises `NotConverged`.

        >>> import torch, resflow_core as rf
        >>> flow, x = rf.ResidualFlow(2, blocks=2, width=8), torch.tensor([0.5, 1.0])
        >>> torch.allclose(flow.inverse(flow(x)), x, atol=1e-4)
        True
        """
        z, contexts, shape = self._matched(points_of(z, self.features, "z"), context)
        z = z.to(self.device, self.dtype)
        return self._to_own_units(self._inverted(z, contexts)).view(*shape, self.features)

    @torch.no_grad()
    def sample(
        self,
        shape: Any = (),
        context: Any = None,
        *,
        seed: "int | torch.Generator | None" = None,
        generator: "torch.Generator | None" = None,
    ) -> Tensor:
        """Independent samples, shape + (features,), in the units of the points. They have no gradient; see `rsample`.

        With contexts (..., context) the shape is shape + (...) + (features,). The same `seed` gives the same samples;
        without one they go on from the flow's own generator. Raises `NotConverged`.

        >>> import torch, resflow_core as rf
        >>> flow = rf.ResidualFlow(2, blocks=2, width=8)
        >>> torch.equal(flow.sample(5, seed=1), flow.sample(5, seed=torch.Generator().manual_seed(1)))
        True
        """
        return self._drawn(shape, context, one_generator(seed, generator, self._stream), False)

    def rsample(
        self,
        shape: Any = (),
        context: Any = None,
        *,
        seed: "int | torch.Generator | None" = None,
        generator: "torch.Generator | None" = None,
    ) -> Tensor:
        """As `sample`, with gradients in the parameters (by the implicit function theorem; once differentiable).

        Raises NotImplementedError if the base has no `rsample`.

        >>> import resflow_core as rf
        >>> flow = rf.ResidualFlow(2, blocks=2, width=8)
        >>> flow.rsample(5).square().mean().backward()
        >>> next(flow.parameters()).grad is not None
        True
        """
        base = self._present_base()
        if base is not None and not getattr(base.distribution, "has_rsample", False):
            raise NotImplementedError(
                f"The base {told(type(base.distribution).__name__)} has no rsample: use sample, which has no "
                "gradients, or a base such as Normal or StudentT."
            )
        return self._drawn(shape, context, one_generator(seed, generator, self._stream), torch.is_grad_enabled())

    def distribution(self) -> FlowDistribution:
        """The density as a `torch.distributions.Distribution`, with event shape (features,).

        Raises ValueError for a conditional flow: use `condition`.

        >>> import resflow_core as rf
        >>> rf.ResidualFlow(2, blocks=2, width=8).distribution().event_shape
        torch.Size([2])
        """
        if self.context:
            raise ValueError(f"This flow has a context of {self.context} numbers: use flow.condition(c).")
        return FlowDistribution(self, None)

    def condition(self, context: Any) -> FlowDistribution:
        """p(x | c) as a `torch.distributions.Distribution`, for contexts (..., context): its batch shape is (...).

        >>> import torch, resflow_core as rf
        >>> given = rf.ResidualFlow(2, context=5, blocks=2, width=8).condition(torch.zeros(7, 5))
        >>> given.batch_shape, given.sample((3,)).shape
        (torch.Size([7]), torch.Size([3, 7, 2]))
        """
        if not self.context:
            raise ValueError(
                "This flow has no context: build it with rf.ResidualFlow(..., context=k), and fit it anew."
            )
        return FlowDistribution(self, points_of(context, self.context, "context"))

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write the flow as a file: weights, units, sizes, type, base. Reading it by `rf.load` runs no code from it.

        Raises ValueError for a base that such a file cannot hold.

        >>> import tempfile, pathlib, resflow_core as rf
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "mine.rf"
        >>> rf.ResidualFlow(2, blocks=2, width=8).save(path)
        >>> rf.load(path).features
        2
        """
        from resflow_core.api.library_file import to_file

        data = to_file(self)  # before the file is opened: one that is refused leaves what was there
        with open(path, "wb") as file:
            file.write(data)

    @staticmethod
    def load(path: "str | os.PathLike[str]") -> "ResidualFlow":
        """The flow of a file, as `rf.load`.

        >>> import tempfile, pathlib, resflow_core as rf
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "mine.rf"
        >>> rf.ResidualFlow(3, blocks=2, width=8).save(path)
        >>> rf.ResidualFlow.load(path).features
        3
        """
        from resflow_core.api.library_file import load

        return load(path)

    # What follows is not for callers.

    def _present_base(self) -> bases.Base | None:
        return self.base_module.now() if self.base_module is not None else self._base

    def _rows(self, x: Any, context: Any) -> tuple[Tensor, Tensor | None, torch.Size]:
        """Standardised points, (n, d), contexts, (n, k), and the shape of the results."""
        points = points_of(x, self.features)
        if isinstance(x, Tensor) and x.device != self.device:
            raise ValueError(f"x is on {x.device}, the flow on {self.device}: pass x.to({str(self.device)!r}).")
        points, contexts, shape = self._matched(points.to(self.device), context)
        # In float64: points far from 0 would lose their digits otherwise.
        rows = ((points.double() - self.centre) / self.scale).to(self.dtype)
        if len(rows) and not in_transform():
            self._warn_of_other_units(rows.detach())
        return rows, contexts, shape

    def _warn_of_other_units(self, rows: Tensor) -> None:
        far = float((rows.abs().amax(1) > FAR).float().mean())
        if far > 0.5:
            seen = (
                "the points that it was fitted to" if self.fitted else "mean 0 and deviation 1, for it was never fitted"
            )
            warnings.warn(
                f"{far:.0%} of the points lie more than {FAR:g} standard deviations from {seen}. Pass points in the "
                "same units as to fit.",
                stacklevel=4,
            )

    def _matched(self, points: Tensor, context: Any) -> tuple[Tensor, Tensor | None, torch.Size]:
        """Points, (n, d), and standardised contexts, (n, k), of one batch shape."""
        if context is None:
            if self.context:
                raise ValueError(
                    f"This flow has a context of {self.context} numbers: pass context=c, or use flow.condition(c)."
                )
            return points.reshape(-1, self.features), None, points.shape[:-1]
        if not self.context:
            raise ValueError(
                "This flow has no context: build it with rf.ResidualFlow(..., context=k), and fit it anew."
            )
        given = points_of(context, self.context, "context").to(self.device)
        try:
            shape = torch.broadcast_shapes(points.shape[:-1], given.shape[:-1])
        except RuntimeError:
            raise ValueError(
                f"Points of the shape {tuple(points.shape)} and contexts of the shape {tuple(given.shape)} do not fit: "
                "all but the last dimension must be equal or 1."
            ) from None
        given = ((given.double() - self.context_centre) / self.context_scale).to(self.dtype)
        return (
            points.expand(*shape, -1).reshape(-1, self.features),
            given.expand(*shape, -1).reshape(-1, self.context),
            shape,
        )

    def _given(self, contexts: Tensor | None) -> AbstractContextManager[None]:
        if isinstance(self.flow, ConditionalFlow) and contexts is not None:
            return self.flow.at(contexts)
        return nullcontext()

    def _chunks(self, rows: Tensor, contexts: Tensor | None, how: LogDet) -> list[tuple[Tensor, Tensor | None]]:
        if torch.is_grad_enabled():
            return [(rows, contexts)]
        numbers = self.config.blocks * self.features**2 if how == Exact() else self.config.width
        size = max(1, CHUNK_NUMBERS // numbers)
        given = [None] * (len(rows) // size + 1) if contexts is None else contexts.split(size)
        return list(zip(rows.split(size), given, strict=False))

    def _log_prob(self, rows: Tensor, contexts: Tensor | None, how: LogDet, generator: torch.Generator) -> Tensor:
        """log p(x) of standardised points, (n, d), in nats per own units, (n,)."""
        with self._given(contexts):
            z, log_dets = self.flow.forward_and_log_det(rows, how, generator)
        base = self._present_base()
        of_base = standard_normal_log_prob(z) if base is None else base.log_prob(z)
        return of_base + log_dets - self.scale.log().sum().to(rows.dtype)

    def _to_own_units(self, rows: Tensor) -> Tensor:
        return (rows.double() * self.scale + self.centre).to(self.dtype)

    def _inverted(self, z: Tensor, contexts: Tensor | None, graph: bool = False) -> Tensor:
        with self._given(contexts):
            with torch.no_grad():
                x = self.flow.inverse(z.detach())
            if graph or (torch.is_grad_enabled() and z.requires_grad):
                return with_gradient(self.flow, x, z)
        return x

    def _drawn(self, shape: Any, context: Any, generator: torch.Generator, graph: bool) -> Tensor:
        shape = shape_of(shape)
        if context is not None:
            shape = shape + points_of(context, self.context, "context").shape[:-1] if self.context else shape
        n, base = shape.numel(), self._present_base()
        if base is None:
            z = torch.randn(n, self.features, generator=generator, dtype=self.dtype, device=generator.device)
        else:
            z = base.draw(n, generator, graph)
        z, contexts, shape = self._matched(z.to(self.device, self.dtype).view(*shape, self.features), context)
        return self._to_own_units(self._inverted(z, contexts, graph)).view(*shape, self.features)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        units = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        super()._apply(fn, recurse)
        # Units stay in float64, whatever the type of the parameters.
        self._buffers |= {name: buffer.to(fn(buffer).device) for name, buffer in units.items()}
        if self._base is not None:
            self._base = bases.Base(bases.moved(self._base.distribution, fn), self.features, self._base.each)
        return self

    def __repr__(self) -> str:
        config = self.config
        parts = [f"features={self.features}"]
        parts += [f"context={self.context}"] if self.context else []
        parts += [f"blocks={config.blocks}", f"width={config.width}", f"activation={config.activation!r}"]
        parts += [f"branch={config.branch!r}"] if config.branch != "residual" else []
        parts += [f"log_det={self.log_det!r}"] if self.log_det != Exact() else []
        base = self._present_base()
        parts += [f"base={type(base.distribution).__name__}"] if base is not None else []
        parts += ["dtype=torch.float64"] if self.dtype == torch.float64 else []
        found = f"\n  {self.fitted}" if self.fitted else ""
        if not self.fitted and self._for_points(0) != config:
            found = "\n  fit chooses the blocks and the width that were not given, by the number of points"
        return f"ResidualFlow({', '.join(parts)}){found}"


def _check_count(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        remedy = " Pass X.shape[1]." if name == "features" and not isinstance(value, int) else ""
        raise ValueError(f"{name} = {told(value)}: use a whole number from {least} to {most}.{remedy}")
