"""Coupling flows at their best: affine or spline couplings, each after a learned rotation.

A coupling layer keeps half of the coordinates, whichever they are. A rotation R before it chooses the halves anew:

    z = R x,   R = exp(S),   S' = -S,   log|det R| = 0

Glow mixes channels in this way (Kingma & Dhariwal 2018, section 3.2, "invertible 1 x 1 convolution"), and spline
coupling flows do so too (Durkan et al. 2019, section 3.1). Both leave R a general matrix. An orthogonal one is as good
after the layers of scales, and cannot become singular.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from resflow_core.actnorm import ActNorm
from resflow_core.arguments import checked_generator
from resflow_core.baselines.zuko_flows import (
    BaselineLayer,
    affine,
    coupling_layer,
    draw_weights,
    refuse_estimates,
    spline,
    spline_shapes,
)
from resflow_core.bijection import Bijection
from resflow_core.flow import NormalizingFlow
from resflow_core.settings import check, setting


@dataclass(frozen=True)
class Moved:
    """How a layer moves a coordinate: imports the transform, and the shapes of its parameters."""

    title: str
    univariate: Callable[[], Callable]
    shapes: tuple[tuple[int, ...], ...]


MOVES: dict[str, Moved] = {
    "affine": Moved("affine coupling", affine, ((), ())),
    "spline": Moved("spline coupling", spline, spline_shapes()),
}


@dataclass(frozen=True)
class CouplingConfig:
    """The settings of a coupling flow. Raises ValueError for a value beyond its limits, or dim < 2."""

    kind: str = setting("spline", "Kind", "How a layer moves a coordinate, given the other half.", choices=MOVES)
    rotated: bool = True
    transforms: int = setting(8, "Transforms", "Layers, one after another.", low=1, high=32)
    width: int = setting(16, "Width", "Units in each hidden layer of the network in a layer.", low=2, high=1024)
    hidden_layers: int = setting(2, "Hidden layers", "Hidden layers in each network.", low=1, high=4)
    dim: int = 2

    def __post_init__(self) -> None:
        check(self)
        if self.dim < 2:
            raise ValueError(f"dim = {self.dim}: use at least 2, since one half of the coordinates moves the other.")

    @property
    def outputs(self) -> int:
        """The number of outputs of a layer's network for a coordinate."""
        return sum(torch.Size(shape).numel() for shape in MOVES[self.kind].shapes)

    def build(self, generator: torch.Generator) -> "CouplingFlow":
        """The flow with weights drawn from `generator`.

        Raises ValueError without a `torch.Generator`, and ModuleNotFoundError if zuko is not installed.
        """
        return CouplingFlow(self, checked_generator(generator, "build"))


class Rotation(Bijection):
    """z = exp(S) x, where the parameters are what stands above the diagonal of the antisymmetric S. It begins at a
    random rotation, as Glow's layers do. Raises ValueError for an estimate of its log det."""

    def __init__(self, dim: int, generator: torch.Generator):
        super().__init__(dim)
        count = dim * (dim - 1) // 2
        # So that the angles, the imaginary eigenvalues of S, spread over the circle in any dimension.
        self.angles = nn.Parameter(torch.randn(count, generator=generator) * (2 / dim) ** 0.5)

    @property
    def matrix(self) -> Tensor:
        """R, (dim, dim), orthogonal."""
        row, column = torch.triu_indices(self.dim, self.dim, 1, device=self.angles.device)
        above = self.angles.new_zeros(self.dim, self.dim).index_put((row, column), self.angles)
        return torch.linalg.matrix_exp(above - above.T)

    def _forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix.T

    def _inverse(self, z: Tensor) -> Tensor:
        return z @ self.matrix

    def _forward_and_log_det(self, x, log_det, generator):
        refuse_estimates(log_det)
        return self._forward(x), x.new_zeros(len(x))


class CouplingFlow(NormalizingFlow):
    """An ActNorm, and then the layers, each after its rotation if there are any.

    Methods with a `log_det` raise ValueError for an estimate.
    """

    def __init__(self, config: CouplingConfig, generator: torch.Generator):
        moves, layers = MOVES[config.kind], list[Bijection]()
        for index in range(config.transforms):
            # zuko draws its weights from the global generator. Its state is restored afterwards.
            with torch.random.fork_rng(devices=[]):
                lazy = coupling_layer(
                    config.dim, index, moves.univariate(), moves.shapes, config.width, config.hidden_layers
                )
            draw_weights(lazy, generator)
            layers += [Rotation(config.dim, generator)] if config.rotated else []
            layers.append(BaselineLayer(lazy, config.dim))
        super().__init__([ActNorm(config.dim), *layers])
        self.config = config
