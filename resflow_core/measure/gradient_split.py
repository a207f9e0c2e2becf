"""The gradient of the mean log density in two parts: of the log det, and of the base density at the images f(x).

    d mean log p(x) = d mean log|det df/dx| + d mean log N(f(x); 0, I)          (paper, equation 2)

The first part reaches the pre-activations only through the second derivative of the activation (paper, section 3.3).
When training has converged, the two parts cancel.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.flow import Flow, standard_normal_log_prob
from resflow_core.log_det import residual_log_det

# Points of a part.
CHUNK = 500


@dataclass(frozen=True, eq=False)
class Parts:
    """2-norms of the two gradients with respect to the parameters of a group, and their inner product; float64.

    The arrays have one shape, with one entry for each group of parameters, such as a block.
    """

    log_det: np.ndarray
    base: np.ndarray
    inner: np.ndarray

    @property
    def cosine(self) -> np.ndarray:
        """The cosine of the angle between the two: -1 if they are opposite, NaN if one of them is 0."""
        product = self.log_det * self.base
        return np.divide(self.inner, product, out=np.full_like(product, np.nan), where=product > 0)

    @property
    def both(self) -> np.ndarray:
        """The norm of their sum, the gradient of the mean log density."""
        return np.sqrt(np.maximum(self.log_det**2 + 2 * self.inner + self.base**2, 0.0))


@dataclass(frozen=True, eq=False)
class GradientSplit:
    """The split in nats per unit of the trained parameters: raw weights, biases, raw scales, log scales and shifts.

    ActNorms are separate, because their log scales s enter directly:

        log|det df/dx| = sum of log|det(I + A)| of the blocks + sum of s of the ActNorms

    Each s has the gradient 1 from the second sum, sqrt(dim (blocks + 1)) together, for every activation. They also move
    the points on their way to later blocks. In a small flow this 1 is most of the norm of the whole gradient, and it
    says nothing about the activation. `residual` is for the blocks alone. With g_k the gradient with respect to all
    parameters of block k:

        ||residual||^2 = sum over k of ||g_k||^2
    """

    blocks: Parts  # (blocks,)
    actnorms: Parts  # (blocks + 1,), or (0,) for a flow without ActNorms
    residual: Parts  # (), all blocks together


def gradient_split(flow: Flow, x: Tensor, breathe: Breathe = without) -> GradientSplit:
    """The `GradientSplit` of a flow at points, (batch, dim), by the exact log det.

    It differentiates a copy: the flow's gradients and the vectors that its constraints carry stay unchanged, and the
    flow may be trained meanwhile. Learned orders do not enter the log density, so their gradient is 0. Raises
    ValueError for points of another shape.
    """
    flow = copy.deepcopy(flow)
    groups = [list(part.parameters()) for part in [*flow.blocks, *flow.actnorms]]
    parameters = [parameter for group in groups for parameter in group]
    carried = [buffer.clone() for buffer in flow.buffers()]
    sums = [torch.zeros(sum(p.numel() for p in parameters), dtype=torch.float64) for _ in range(2)]
    for part in x.to(parameters[0]).split(CHUNK):
        for gradient, of_part in zip(sums, _gradients(flow, parameters, part), strict=True):
            gradient += of_part
        # The forward pass changes carried vectors. Every chunk must see the same weights.
        for buffer, before in zip(flow.buffers(), carried, strict=True):
            buffer.copy_(before)
        breathe()
    log_det, base = (gradient / len(x) for gradient in sums)
    sizes = [sum(p.numel() for p in group) for group in groups]
    of_groups, n = list(zip(log_det.split(sizes), base.split(sizes), strict=True)), len(flow.blocks)
    of_blocks = sum(sizes[:n])
    residual = _parts([(log_det[:of_blocks], base[:of_blocks])])
    return GradientSplit(
        blocks=_parts(of_groups[:n]),
        actnorms=_parts(of_groups[n:]),
        residual=Parts(residual.log_det[0], residual.base[0], residual.inner[0]),
    )


@torch.enable_grad()
def _gradients(flow: Flow, parameters: list[Tensor], x: Tensor) -> list[Tensor]:
    """The gradients of the sums over points of log|det df/dx| and of the base's log density: two vectors."""
    z, jacobians = flow.forward_and_jacobians(x)
    log_det = residual_log_det(jacobians).sum() + len(x) * flow.actnorm_log_det
    vectors = []
    for total in (log_det, standard_normal_log_prob(z).sum()):
        # Some parameters are in neither sum: the orders of norms have a loss of their own.
        gradients = torch.autograd.grad(total, parameters, retain_graph=True, materialize_grads=True)
        vectors.append(torch.cat([g.flatten() for g in gradients]).double().cpu())
    return vectors


def _parts(gradients: list[tuple[Tensor, Tensor]]) -> Parts:
    """The `Parts` from pairs of gradients, of the log det and of the base."""
    products = [(float(a @ a), float(b @ b), float(a @ b)) for a, b in gradients]
    log_det, base, inner = np.array(products).reshape(-1, 3).T
    return Parts(np.sqrt(log_det), np.sqrt(base), inner)
