"""Baselines for the residual flow: flows whose log det is exact and cheap because their Jacobian has zeros.

Their layers come from the library zuko. A coupling layer keeps one half of the coordinates and moves the other half,
given the first. An autoregressive layer moves each coordinate, given those before it. In both, the Jacobian is
triangular in some order of the coordinates, so log|det| is the sum of the logarithms of its diagonal:

    NICE      z_b = x_b + m(x_a)                         Dinh, Krueger & Bengio 2014, section 3.2
    RealNVP   z_b = x_b exp(s(x_a)) + t(x_a)             Dinh, Sohl-Dickstein & Bengio 2017, equations 4 and 5
    MAF       z_i = x_i exp(a_i) + b_i, of x_1..x_{i-1}  Papamakarios, Pavlakou & Murray 2017, section 3.1
    NSF       z_i = a spline of x_i, of x_1..x_{i-1}     Durkan, Bekasov, Murray & Papamakarios 2019, section 3

The layers of NICE have log det 0, so a learned scale of each coordinate follows the last one (its section 3.3; here
ActNorm). zuko keeps |s| and |a| below log 1000. Its splines have eight bins on [-5, 5] and are the identity beyond.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from resflow_core.actnorm import ActNorm
from resflow_core.arguments import checked_generator
from resflow_core.bijection import Bijection
from resflow_core.extras import extra
from resflow_core.flow import NormalizingFlow
from resflow_core.log_det import Exact, LogDet
from resflow_core.settings import check, setting

BINS = 8


def _additive():
    with extra("baselines"):
        from zuko.transforms import AdditiveTransform

    return AdditiveTransform


def affine():
    """zuko's transform z = x exp(a) + b of a coordinate."""
    with extra("baselines"):
        from zuko.transforms import MonotonicAffineTransform

    return MonotonicAffineTransform


def spline():
    """zuko's rational-quadratic spline of a coordinate."""
    with extra("baselines"):
        from zuko.transforms import MonotonicRQSTransform

    return MonotonicRQSTransform


def spline_shapes() -> tuple[tuple[int, ...], ...]:
    """Of a spline's parameters: widths and heights of its bins, and slopes between them."""
    return (BINS,), (BINS,), (BINS - 1,)


@dataclass(frozen=True)
class Baseline:
    """A kind of flow, and the shape in which it is usually built."""

    title: str
    univariate: Callable[[], Callable]  # imports the transform of a coordinate
    shapes: tuple[tuple[int, ...], ...]  # of the network's outputs for a coordinate
    coupling: bool  # else autoregressive
    # Of the shapes that were tried, this one fits best at 1,500 and 4,000 parameters.
    transforms: int
    hidden_layers: int
    scaled: bool = False  # whether a learned scale follows the last layer

    @property
    def outputs(self) -> int:
        """The number of outputs of the network for a coordinate."""
        return sum(torch.Size(shape).numel() for shape in self.shapes)


BASELINES: dict[str, Baseline] = {
    "nice": Baseline("NICE, additive coupling", _additive, ((),), True, 8, 2, scaled=True),
    "realnvp": Baseline("RealNVP, affine coupling", affine, ((), ()), True, 8, 2),
    "maf": Baseline("MAF, affine autoregressive", affine, ((), ()), False, 8, 2),
    "nsf": Baseline("NSF, autoregressive splines", spline, spline_shapes(), False, 6, 2),
}


@dataclass(frozen=True)
class BaselineConfig:
    """The settings of a baseline. Changing a field means another flow.

    Raises ValueError for a value beyond its limits, or dim < 2.
    """

    kind: str = setting("realnvp", "Kind", "How a layer transforms a coordinate, given the others.", choices=BASELINES)
    transforms: int = setting(
        8, "Transforms", "Layers, one after another. They transform the coordinates in turn.", low=1, high=32
    )
    width: int = setting(16, "Width", "Units in each hidden layer of the network in a layer.", low=2, high=256)
    hidden_layers: int = setting(2, "Hidden layers", "Hidden layers in each network.", low=1, high=4, rare=True)
    dim: int = 2

    def __post_init__(self):
        check(self)
        if self.dim < 2:
            raise ValueError(f"dim = {self.dim}: use at least 2, since one coordinate moves another.")

    @property
    def outputs(self) -> int:
        """The number of outputs of a layer's network for a coordinate."""
        return BASELINES[self.kind].outputs

    def build(self, generator: torch.Generator) -> "BaselineFlow":
        """The flow with weights drawn from `generator`.

        Raises ValueError without a `torch.Generator`, and ModuleNotFoundError if zuko is not installed.
        """
        return BaselineFlow(self, checked_generator(generator, "build"))


class BaselineLayer(Bijection):
    """One of zuko's lazy transforms. Its log|det| comes from the diagonal. Raises ValueError for an estimate of it."""

    def __init__(self, lazy: nn.Module, dim: int):
        super().__init__(dim)
        self.lazy = lazy

    def _forward(self, x: Tensor) -> Tensor:
        return self.lazy()(x)

    def _inverse(self, z: Tensor) -> Tensor:
        return self.lazy().inv(z)

    def _forward_and_log_det(self, x, log_det, generator):
        refuse_estimates(log_det)
        return self.lazy().call_and_ladj(x)

    def __repr__(self) -> str:
        # zuko's own `repr` draws from the global generator.
        return f"{type(self).__name__}()"


class BaselineFlow(NormalizingFlow):
    """An ActNorm, and the baseline's layers after it. The ActNorm standardises points of any scale.

    Methods with a `log_det` raise ValueError for an estimate.
    """

    def __init__(self, config: BaselineConfig, generator: torch.Generator):
        # zuko draws its weights from the global generator. Its state is restored afterwards.
        with torch.random.fork_rng(devices=[]):
            layers = [BaselineLayer(_lazy(config, index), config.dim) for index in range(config.transforms)]
        for layer in layers:
            draw_weights(layer, generator)
        scale = [ActNorm(config.dim)] if BASELINES[config.kind].scaled else []
        super().__init__([ActNorm(config.dim), *layers, *scale])
        self.config = config


def refuse_estimates(log_det: LogDet) -> None:
    """Raise ValueError unless `log_det` is `Exact()`. For a baseline the exact log det costs nothing extra."""
    if log_det != Exact():
        raise ValueError(f"log_det = {log_det!r}: a baseline's log det is exact anyway; use Exact().")


def _lazy(config: BaselineConfig, index: int) -> nn.Module:
    baseline = BASELINES[config.kind]
    univariate, hidden = baseline.univariate(), (config.width, config.hidden_layers)
    if baseline.coupling:
        return coupling_layer(config.dim, index, univariate, baseline.shapes, *hidden)
    # Imported here and not above, because zuko switches off the checks of all of torch.distributions.
    with extra("baselines"):
        from zuko.flows import MaskedAutoregressiveTransform

    order = torch.arange(config.dim)
    order = order.flip(0) if index % 2 else order
    return MaskedAutoregressiveTransform(config.dim, order=order, **_how(univariate, baseline.shapes, *hidden))


def coupling_layer(
    dim: int, index: int, univariate: Callable, shapes: tuple[tuple[int, ...], ...], width: int, hidden_layers: int
) -> nn.Module:
    """zuko's coupling layer number `index`: even ones move coordinates 2, 4, ..., odd ones the others."""
    with extra("baselines"):
        from zuko.flows import GeneralCouplingTransform

    mask = torch.arange(dim) % 2 == index % 2
    return GeneralCouplingTransform(dim, mask=mask, **_how(univariate, shapes, width, hidden_layers))


def _how(univariate: Callable, shapes: tuple, width: int, hidden_layers: int) -> dict[str, Any]:
    return {
        "univariate": univariate,
        "shapes": shapes,
        "hidden_features": [width] * hidden_layers,
        "activation": nn.ReLU,
    }


@torch.no_grad()
def draw_weights(module: nn.Module, generator: torch.Generator) -> None:
    """Draw weights and biases of every linear layer, uniform within +-1/sqrt(in_features)."""
    for layer in module.modules():
        if isinstance(getattr(layer, "weight", None), nn.Parameter):
            bound = layer.weight.shape[-1] ** -0.5
            for parameter in layer.parameters(recurse=False):
                parameter.uniform_(-bound, bound, generator=generator)
