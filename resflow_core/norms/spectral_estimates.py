"""Classical estimates of ||W||_2: from below, from above, and by the nearest matrix with orthonormal columns or rows.

Everything is computed in float64. A matrix with an entry that is NaN or infinite has the norm NaN.
"""

import torch
from torch import Tensor

from resflow_core.spectral_norm import certified, normalised


def exact(weights: Tensor) -> Tensor:
    """||W||_2 by a singular value decomposition, (..., out, in) -> (...), float64."""
    unit, largest = normalised(weights)
    return largest * torch.linalg.svdvals(unit)[..., 0]


@torch.no_grad()
def power_iteration(weights: Tensor, v: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """||W v_k|| for k = 1 .. steps, and v_steps, with v_k = W'W v_{k-1} scaled to unit length; float64, no gradients.

    W (out, in) with v (in,) gives estimates (steps,); stacks W (n, out, in), v (n, in) give (steps, n). The estimates
    never decrease and never exceed ||W||_2. So a network that is capped by them can exceed its cap. They are lowered by
    as much as `gram_iteration` is raised, since rounding changes ||Wv|| and ||v|| by less. A random v is a cold start,
    the v of the last call a warm start. If W maps v to zero, v stays. Raises ValueError if v is zero or not finite.
    """
    unit, largest = normalised(weights)
    length = torch.linalg.vector_norm(v.double(), dim=-1, keepdim=True)
    if not ((length > 0) & length.isfinite()).all():
        raise ValueError("Power iteration starts from a finite vector v that is not zero; draw v at random.")
    v, estimates, lowered = v.double() / length, [], largest * (1 - _rounding(weights))
    for _ in range(steps):
        ahead = (unit.mT @ (unit @ v[..., None]))[..., 0]
        length = torch.linalg.vector_norm(ahead, dim=-1, keepdim=True)
        v = torch.where(length > 0, ahead / length, v)
        estimates.append(lowered * torch.linalg.vector_norm((unit @ v[..., None])[..., 0], dim=-1))
    return torch.stack(estimates) if estimates else largest.new_zeros(0, *largest.shape), v


@torch.no_grad()
def gram_iteration(weights: Tensor, steps: int) -> Tensor:
    """||G_k||_F^(1 / 2^k) for k = 0 .. steps, G_0 = W, G_k = G_{k-1}' G_{k-1}: upper bounds that fall to ||W||_2.

    Shapes (out, in) -> (steps + 1,), (n, out, in) -> (steps + 1, n); float64, no gradients. The first bound is the
    Frobenius norm. Each is at most r^(1 / 2^(k+1)) ||W||_2 for a matrix of rank r. G_k is rescaled to unit norm, and
    the logarithm of its size is kept separately.

    Rounding changes the product G'G, with ||G||_F = 1, by m eps in norm, with m the longer side. The largest singular
    value of G'G is at least 1 / r, so its relative change is at most m r eps. The root of order 2^k makes the sum over
    all steps less than 2 m r eps. The bounds are raised by twice that. Source: Delattre, Barthelemy, Araujo, Allauzen:
    Efficient bound of Lipschitz constant for convolutional layers by Gram iteration, ICML 2023.
    """
    unit, largest = normalised(weights)
    gram, log_size, bounds = unit, torch.zeros_like(largest), []
    for k in range(steps + 1):
        if k:
            gram, log_size = gram.mT @ gram, 2 * log_size
        norm = torch.linalg.matrix_norm(gram)
        log_size = log_size + torch.where(norm > 0, norm, 1.0).log()
        gram = gram / torch.where(norm > 0, norm, 1.0)[..., None, None]
        bounds.append(largest * (log_size / 2**k).exp())
    return torch.stack(bounds) * (1 + _rounding(weights))


def _rounding(weights: Tensor) -> float:
    """4 m r eps for matrices with the longer side m and at most the rank r."""
    return 4 * weights.shape[-1] * weights.shape[-2] * torch.finfo(torch.float64).eps


def bjorck(weights: Tensor, steps: int) -> Tensor:
    """The orthonormal matrix nearest to W, approached by W <- W (3 I - W'W) / 2, (n, out, in), float64.

    W is first divided by a certified upper bound of its norm, so its singular values s are in [0, 1]. Each step takes s
    to s (3 - s^2) / 2, which stays in [0, 1] and tends to 1 unless s = 0. So the columns become orthonormal, or the
    rows if there are fewer rows. Differentiable, also through the division. A zero matrix stays zero; one that is not
    finite gives NaN. Source: Bjorck, Bowie: An iterative algorithm for computing the best estimate of an orthogonal
    matrix, 1971; in networks: Anil, Lucas, Grosse: Sorting out Lipschitz function approximation, ICML 2019.
    """
    unit, largest = normalised(weights)
    if unit.shape[1] < unit.shape[2]:
        return bjorck(weights.mT, steps).mT
    bound = certified(unit)
    near = unit / torch.where(bound > 0, bound, 1.0)[:, None, None]
    for _ in range(steps):
        near = 1.5 * near - 0.5 * near @ (near.mT @ near)
    return torch.where(largest.isnan()[:, None, None], torch.nan, near)
