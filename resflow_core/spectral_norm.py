"""The largest singular value ||W||_2: certified for every matrix, and how its classical estimates approach it.

Everything is computed in float64. A matrix with an entry that is NaN or infinite has the norm NaN, whatever stands
beside it in a stack; its zeros would otherwise look like a bound.
"""

import torch
from torch import Tensor

# The norm that is claimed lies below the true one by this much at most, which is proven; caps are lowered by it, and by
# it again for the rounding of W to float32.
SLACK = 1e-5
# Matrices up to this size are diagonalised; of larger ones, a subspace of this dimension approaches the top one.
BLOCK = 8
# (G^16)^2 shrinks what is 20 % below the top singular value by 0.8^64 = 6e-7; what is nearer matters little.
SQUARINGS, ROUNDS = 4, 2


@torch.no_grad()
def top_singular_triples(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """s = u'Wv, (n, 1, 1), for unit vectors u, (n, out, 1), and v, (n, in, 1), with s <= ||W||_2 <= (1 + SLACK) s.

    For n matrices at once, (n, out, in); float64, no gradients. Power iteration alone gives a lower bound: a network
    "at 0.9" can be at 1.3. Here the upper bound is proven for each matrix by a Cholesky factorisation of
    ((1 + SLACK) s)^2 I - W'W; one that has none is diagonalised instead.
    """
    if weights.shape[1] < weights.shape[2]:
        s, v, u = top_singular_triples(weights.mT)
        return s, u, v
    weights = weights.double()
    gram = weights.mT @ weights
    if gram.shape[-1] <= BLOCK:
        return _triples(weights, _top_eigenvectors(gram))
    s, u, v = _triples(weights, _nearly_top_eigenvectors(gram))
    bounds = ((1 + SLACK) * s) ** 2 * torch.eye(gram.shape[-1]).to(gram)
    failed = torch.linalg.cholesky_ex(bounds - gram).info != 0
    if failed.any():
        for part, exact in zip((s, u, v), _triples(weights[failed], _top_eigenvectors(gram[failed])), strict=True):
            part[failed] = exact
    return s, u, v


def _triples(weights: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    u = weights @ v
    s = torch.linalg.vector_norm(u, dim=1, keepdim=True)
    return s, u / s.clamp(min=torch.finfo(s.dtype).tiny), v


def _top_eigenvectors(gram: Tensor) -> Tensor:
    return torch.linalg.eigh(gram).eigenvectors[:, :, -1:]


def _nearly_top_eigenvectors(gram: Tensor) -> Tensor:
    """Unit vectors near the top eigenvectors of G, (n, in, 1), by subspace iteration with a high power of G.

    In float32, for speed: however near they come, the norm is certified afterwards.
    """
    gram32 = power = _of_unit_trace(gram).float()
    for _ in range(SQUARINGS):
        power = _of_unit_trace(power @ power)
    basis = torch.randn(gram.shape[-1], BLOCK, generator=torch.Generator().manual_seed(0)).to(power)
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(power @ basis).Q
    v = (basis @ _top_eigenvectors(basis.mT @ gram32 @ basis)).to(gram)
    return v / torch.linalg.vector_norm(v, dim=1, keepdim=True)


def _of_unit_trace(matrices: Tensor) -> Tensor:
    trace = matrices.diagonal(dim1=1, dim2=2).sum(1)
    return matrices / trace.clamp(min=torch.finfo(trace.dtype).tiny)[:, None, None]


def normalised(weights: Tensor) -> tuple[Tensor, Tensor]:
    """(W / m, m) with m = max |w_ij|, float64, shapes (..., out, in) and (...): no power of W / m leaves the range.

    m is a constant to autograd: what is homogeneous in W does not depend on it. A matrix that is not finite becomes
    zeros with m = NaN, so that m times anything of it is NaN; a zero matrix stays zero with m = 0.
    """
    weights = weights.double()
    largest = weights.detach().abs().amax((-2, -1), keepdim=True)
    finite = largest.isfinite()
    unit = torch.where(finite, weights, 0.0) / torch.where(finite & (largest > 0), largest, 1.0)
    return unit, torch.where(finite, largest, torch.nan)[..., 0, 0]


def exact(weights: Tensor) -> Tensor:
    """||W||_2 by a singular value decomposition, (..., out, in) -> (...), float64."""
    unit, largest = normalised(weights)
    return largest * torch.linalg.svdvals(unit)[..., 0]


def certified(weights: Tensor) -> Tensor:
    """An upper bound (1 + SLACK) u'Wv of ||W||_2, above it by SLACK at most, (n, out, in) -> (n,), float64.

    Its gradient is (1 + SLACK) uv'; derivatives of higher order are not those of the norm.
    """
    unit, largest = normalised(weights)
    _, u, v = top_singular_triples(unit.detach())
    return largest * (1 + SLACK) * (u * (unit @ v)).sum((1, 2))


@torch.no_grad()
def power_iteration(weights: Tensor, v: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """||W v_k|| for k = 1 .. steps and v_steps, where v_k is W'W v_{k-1} at unit length; float64, no gradients.

    W (out, in) with v (in,) gives estimates (steps,); stacks W (n, out, in), v (n, in) give (steps, n). They never
    fall, and never exceed ||W||_2: a network that is capped by them can be beyond its cap. A random v is a cold start,
    the v of the last call a warm one. A v that W maps to zero stays. Raises ValueError for a v without direction.
    """
    unit, largest = normalised(weights)
    length = torch.linalg.vector_norm(v.double(), dim=-1, keepdim=True)
    if not ((length > 0) & length.isfinite()).all():
        raise ValueError("Power iteration starts from a finite vector v that is not zero; draw v at random.")
    v, estimates = v.double() / length, []
    for _ in range(steps):
        ahead = (unit.mT @ (unit @ v[..., None]))[..., 0]
        length = torch.linalg.vector_norm(ahead, dim=-1, keepdim=True)
        v = torch.where(length > 0, ahead / length, v)
        estimates.append(largest * torch.linalg.vector_norm((unit @ v[..., None])[..., 0], dim=-1))
    return torch.stack(estimates) if estimates else largest.new_zeros(0, *largest.shape), v


@torch.no_grad()
def gram_iteration(weights: Tensor, steps: int) -> Tensor:
    """||G_k||_F^(1 / 2^k) for k = 0 .. steps, G_0 = W, G_k = G_{k-1}' G_{k-1}: upper bounds of ||W||_2 that fall to it.

    Shapes (out, in) -> (steps + 1,), (n, out, in) -> (steps + 1, n); float64, no gradients. The first is the Frobenius
    norm; each is at most r^(1 / 2^(k+1)) ||W||_2 at rank r. G_k is rescaled to unit norm, and the logarithm of its size
    kept apart.

    Rounding moves the product G'G, with ||G||_F = 1, by m eps in norm, m the longer side, and so its largest singular
    value, 1 / r at least, by a part of m r eps; the root of order 2^k makes the sum over all steps less than 2 m r eps.
    Bounds are raised by twice that.
    Delattre, Barthelemy, Araujo, Allauzen: Efficient bound of Lipschitz constant for convolutional layers by Gram
    iteration, ICML 2023.
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
    return torch.stack(bounds) * (1 + 4 * weights.shape[-1] * weights.shape[-2] * torch.finfo(torch.float64).eps)


def bjorck(weights: Tensor, steps: int) -> Tensor:
    """The orthonormal matrix nearest to W, approached by W <- W (3 I - W'W) / 2, (n, out, in), float64.

    W is divided by a certified upper bound of its norm first, so that its singular values lie within [0, 1]; each step
    takes s to s (3 - s^2) / 2, which stays there and tends to 1 unless s = 0: columns become orthonormal, or rows where
    those are fewer. Differentiable, with the gradient through the division. Zero stays zero.
    Bjorck, Bowie: An iterative algorithm for computing the best estimate of an orthogonal matrix, 1971; in networks:
    Anil, Lucas, Grosse: Sorting out Lipschitz function approximation, ICML 2019.
    """
    unit, largest = normalised(weights)
    if unit.shape[1] < unit.shape[2]:
        return bjorck(weights.mT, steps).mT
    bound = certified(unit)
    near = unit / torch.where(bound > 0, bound, 1.0)[:, None, None]
    for _ in range(steps):
        near = 1.5 * near - 0.5 * near @ (near.mT @ near)
    return torch.where(largest.isnan()[:, None, None], torch.nan, near)
