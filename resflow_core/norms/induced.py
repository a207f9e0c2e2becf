"""Vector p-norms and the operator norms that they induce, ||W||_{p->q} = sup ||Wx||_q / ||x||_p, with 1 <= p, q <= inf.

p* is the dual order: 1/p + 1/p* = 1. For most orders the norm is hard to compute. These have a closed form:

    1 -> q      the largest q-norm of a column
    p -> inf    the largest p*-norm of a row
    2 -> 2      the largest singular value
    inf -> q    if there are few columns
    p -> 1      if there are few rows

All other norms lie between a certified upper bound and a lower bound that a vector attains. The code computes with
a = 1/p and b = 1/q in [0, 1], so that an infinite order is the number 0.
"""

import math

import torch
from torch import Tensor

from resflow_core.lipschitz import Order
from resflow_core.spectral_norm import certified, normalised

# Upper bounds are raised by this for the rounding of float64. Logarithms, exponentials and sums of the entries of W
# together have an error of a few hundred eps.
ROUNDING = 1e-12
# Numbers below TINY count as zero before a logarithm. Orders above 1 / TINY_ORDER count as inf: k^1e-16 is 1 in
# float64.
TINY, TINY_ORDER = 1e-300, 1e-16
# With at most this many columns n, all 2^n vertices of the cube are tried.
MOST_ENUMERATED = 6


def check_order(p: float) -> None:
    """Raises ValueError unless 1 <= p <= inf."""
    if not p >= 1:
        raise ValueError(f"p = {p:g}: use an order from 1 to inf. Below 1 it is not a norm.")


def dual(p: Order) -> Order:
    """p* with 1/p + 1/p* = 1, which swaps 1 and inf. Raises ValueError if a number p is below 1 or NaN."""
    if isinstance(p, Tensor):
        return p / (p - 1)
    check_order(p)
    return math.inf if p == 1 else 1.0 if p == math.inf else p / (p - 1)


def vector_norm(x: Tensor, p: float, dim: int) -> Tensor:
    """||x||_p along `dim`, in the type of x: (sum |x_i|^p)^(1/p), or for p = inf the largest |x_i|.

    Differentiable, with gradient 0 at x = 0. Entries are divided by the largest one first, so no power overflows.
    Raises ValueError if p is below 1 or NaN.
    """
    check_order(p)
    size = x.abs()
    if p == 1:
        return size.sum(dim)
    if p == math.inf:
        return size.amax(dim)
    # Constant to autograd: the norm does not depend on the unit in which it is computed.
    unit = size.detach().amax(dim, keepdim=True)
    unit = torch.where(unit == 0, 1.0, unit).clamp(max=torch.finfo(x.dtype).max)
    size = size / unit
    # The sum is at least 1 unless x = 0. At 0 the root has no gradient.
    total = (size.square() if p == 2 else size**p).sum(dim)
    zero = total == 0
    root = torch.where(zero, 1.0, total)
    root = root.sqrt() if p == 2 else root ** (1 / p)
    return torch.where(zero, 0.0, root) * unit.squeeze(dim)


def is_exact(p: float, q: float, rows: int | None = None, columns: int | None = None) -> bool:
    """Whether ||W||_{p->q} has a closed form: p = 1, q = inf, or p = q = 2 (up to SLACK).

    It also has one for p = inf if the number of columns is known and small, and for q = 1 if that of rows is. Raises
    ValueError if an order is below 1 or NaN.
    """
    check_order(p)
    check_order(q)
    few_columns, few_rows = (n is not None and n <= MOST_ENUMERATED for n in (columns, rows))
    return p == 1 or q == math.inf or p == q == 2 or (p == math.inf and few_columns) or (q == 1 and few_rows)


def upper_bound(weights: Tensor, p: Order, q: Order) -> Tensor:
    """A certified upper bound of ||W||_{p->q}, (n, out, in) -> (n,), float64; p and q are numbers or tensors (n,).

    If the norm has a closed form and p and q are numbers, it is the norm (raised by ROUNDING, and by SLACK for 2 -> 2).
    Otherwise it is the smallest of

        columns w_j         || (||w_j||_q)_j ||_{p*}
        rows w_i            || (||w_i||_{p*})_i ||_q
        Riesz-Thorin        log ||W|| is convex in (a, b) for a >= b, so it is below every chord between exact norms
        inclusion, p > q    in^(c - a) out^(b - c) ||W||_{1/c -> 1/c} for c = 1/p, c = 1/q, and the c between them that
                            is nearest to 1/2

    Differentiable once in W and in p and q. If bounds or rows tie, the derivative is that of one of them, or their
    mean. NaN for a matrix that is not finite. Raises ValueError if an order is below 1 or NaN, or if W is not of shape
    (n, out, in). Source: M. Riesz, 1926; Thorin, 1948. Real matrices need no constant if p <= q.
    """
    if weights.ndim != 3:
        raise ValueError(f"Expected matrices of shape (n, out, in); got {tuple(weights.shape)}.")
    unit, largest = normalised(weights)
    a, b = _reciprocal(p, unit), _reciprocal(q, unit)
    if (exact := _closed_form(unit, p, q)) is not None:
        return largest * exact * (1 + ROUNDING)
    rows, columns = unit.shape[1:]
    logs = unit.abs().clamp(min=TINY).log()
    bounds = [
        _log_norm(_log_norm(logs, b[:, None, None], 1), (1 - a)[:, None], 1),
        _log_norm(_log_norm(logs, (1 - a)[:, None, None], 2), b[:, None], 1),
    ]
    log_spectral = certified(unit).clamp(min=TINY).log()
    centres = [a] if (a >= b).all() else [a, b, torch.maximum(torch.minimum(a, b), torch.full_like(a, 0.5)).minimum(b)]
    for c in centres:
        inner_a, inner_b = torch.maximum(a, c), torch.minimum(b, c)
        inclusion = (inner_a - a) * math.log(columns) + (b - inner_b) * math.log(rows)
        bounds.append(inclusion + _log_riesz_thorin(logs, log_spectral, inner_a, inner_b))
    return largest * torch.stack(bounds).amin(0).exp() * (1 + ROUNDING)


def _reciprocal(p: Order, like: Tensor) -> Tensor:
    """1/p in float64 for each of the n matrices. Raises ValueError if an order is below 1 or NaN."""
    for order in p.detach().reshape(-1).tolist() if isinstance(p, Tensor) else [p]:
        check_order(order)
    return (1 / torch.as_tensor(p, dtype=like.dtype, device=like.device)).expand(len(like))


def _log_norm(logs: Tensor, a: Tensor, dim: int) -> Tensor:
    """log ||x||_{1/a} along `dim` from log |x|; a is a tensor that broadcasts against `logs`."""
    a = a.clamp(min=TINY_ORDER)
    return a.squeeze(dim) * torch.logsumexp(logs / a, dim)


def _log_riesz_thorin(logs: Tensor, log_spectral: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The smallest of four chords at (a, b), a >= b: log bounds, (n,), from log |W|, (n, out, in), and log ||W||_2,
    (n,).

    On the triangle a >= b, the norm is known on the edges a = 1 (columns) and b = 0 (rows), and at the point (1/2,
    1/2). One chord runs from this point through (a, b) to an edge. The other three run from edge to edge: through (0,
    0), through (1, 1), and parallel to the diagonal between these two.
    """
    share = torch.maximum(2 * a - 1, 1 - 2 * b)
    reach = torch.where(share > 0, share, 1.0)
    edge_a, edge_b = 0.5 + (a - 0.5) / reach, 0.5 + (b - 0.5) / reach
    gap = a - b
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    at_rows = torch.stack([edge_a, zero, _ratio(gap, 1 - b), gap], 1).clamp(0, 1)
    at_columns = torch.stack([edge_b, _ratio(b, a), one, 1 - gap], 1).clamp(0, 1)
    weight = torch.stack([a, b, _ratio(b, 1 - gap)], 1)
    rows = _log_norm(logs[:, None], (1 - at_rows)[:, :, None, None], 3).amax(2)
    columns = _log_norm(logs[:, None], at_columns[:, :, None, None], 2).amax(2)
    edge = torch.where(2 * a - 1 >= 1 - 2 * b, columns[:, 0], rows[:, 0])
    from_centre = log_spectral + share * (edge - log_spectral)
    from_edge = rows[:, 1:] + weight * (columns[:, 1:] - rows[:, 1:])
    return torch.minimum(from_centre, from_edge.amin(1))


def _closed_form(weights: Tensor, p: Order, q: Order) -> Tensor | None:
    """||W||_{p->q}, (n,), or None if it has no closed form or an order is a tensor; for 2 -> 2 a certified bound.

    A convex function of x is largest at a vertex of the unit ball. For 1 -> q the vertices are the unit vectors. For
    inf -> q they are all vectors of signs, which are few if there are few columns. p -> inf and p -> 1 are the duals.
    """
    if isinstance(p, Tensor) or isinstance(q, Tensor):
        return None
    rows, columns = weights.shape[1:]
    if p == 1:
        return vector_norm(weights, q, 1).amax(1)
    if q == math.inf:
        return vector_norm(weights, dual(p), 2).amax(1)
    if p == q == 2:
        return certified(weights)
    if p == math.inf and columns <= MOST_ENUMERATED:
        signs = torch.cartesian_prod(*[weights.new_tensor([-1.0, 1.0])] * columns).view(-1, columns)
        return vector_norm(weights @ signs.T, q, 1).amax(1)
    if q == 1 and rows <= MOST_ENUMERATED:
        return _closed_form(weights.mT, math.inf, dual(p))
    return None


def _ratio(x: Tensor, y: Tensor) -> Tensor:
    """x / y, and 0 if y = 0."""
    return torch.where(y > 0, x, 0.0) / torch.where(y > 0, y, 1.0)


@torch.no_grad()
def lower_bound(weights: Tensor, p: float, q: float, starts: int = 16, steps: int = 50) -> tuple[Tensor, Tensor]:
    """A LOWER bound of ||W||_{p->q} that a vector attains: ||Wx||_q, (n,), and x of unit p-norm, (n, in); float64.

    The nonlinear power method x <- psi_{p*}(W' psi_q(Wx)), psi_r(y) = sign(y) |y|^(r-1), never decreases ||Wx||_q /
    ||x||_p and converges to a stationary point. The best of `starts` starts is returned. They are, in this order, the
    unit vector of the largest column, the top right singular vector, its signs, the vector dual to the largest row,
    ones, and random vectors from a fixed seed.

    The cases p = 1, q = inf, p = q = 2, a single row and a single column have the norm and its maximiser in closed
    form. NaN for a matrix that is not finite. Raises ValueError if an order is below 1 or NaN, if W is not of shape (n,
    out, in), or if `starts` is below 1. Source: Boyd: The power method for l^p norms, 1974; Higham: Estimating the
    matrix p-norm, 1992.
    """
    check_order(p)
    check_order(q)
    if weights.ndim != 3:
        raise ValueError(f"Expected matrices of shape (n, out, in); got {tuple(weights.shape)}.")
    if starts < 1:
        raise ValueError(f"starts = {starts}: the power method needs at least 1.")
    unit, largest = normalised(weights)
    if p == 1 or unit.shape[2] == 1:
        x = _largest_column(unit, q)[:, None]
    elif q == math.inf or unit.shape[1] == 1:
        x = _dual_to_largest_row(unit, p)[:, None]
    elif p == q == 2:
        x = torch.linalg.svd(unit, full_matrices=False).Vh[:, :1]
    else:
        x = _power_method(unit, p, q, _first_vectors(unit, p, q, starts), steps)
    x = x / vector_norm(x, p, 2)[..., None]
    value, best = vector_norm(x @ unit.mT, q, 2).max(1)
    x = x[torch.arange(len(x)), best]
    return largest * value, torch.where(largest.isnan()[:, None], torch.nan, x)


@torch.no_grad()
def power_method(weights: Tensor, p: Order, q: Order, v: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """u, (n, out), of unit q*-norm and v, (n, in), of unit p-norm after `steps` steps of the nonlinear power method
    from v.

    u'Wv = ||Wv||_q is a LOWER bound of ||W||_{p->q}; float64. For p = q = 2 it is power iteration. p and q are numbers
    or tensors (n,). Raises ValueError if a number p or q is below 1 or NaN.
    """
    unit, _ = normalised(weights)
    p, q = (order[:, None, None] if isinstance(order, Tensor) else order for order in (p, q))
    v = _power_method(unit, p, q, v.to(unit)[:, None], steps)
    v = v / _norm_of_order(v, p)
    u = _psi(v @ unit.mT, q)
    u = u / _norm_of_order(u, dual(q)).clamp(min=TINY)
    return u[:, 0], v[:, 0]


def _norm_of_order(x: Tensor, p: Order) -> Tensor:
    """||x||_p along the last dimension, which stays. p is a number, or a tensor that broadcasts against x."""
    if not isinstance(p, Tensor):
        return vector_norm(x, p, -1)[..., None]
    return _log_norm(x.abs().clamp(min=TINY).log(), 1 / p, -1).exp()[..., None]


def _power_method(weights: Tensor, p: float, q: float, x: Tensor, steps: int) -> Tensor:
    """The vectors x, (n, starts, in), after `steps` steps of the nonlinear power method."""
    for _ in range(steps):
        ahead = _psi(_psi(x @ weights.mT, q) @ weights, dual(p))
        # A vector that W maps to zero stays, because no step leads out of zero.
        x = torch.where((ahead != 0).any(2, keepdim=True), ahead, x)
    return x


def _psi(y: Tensor, r: float) -> Tensor:
    """sign(y) |y|^(r-1) along the last dimension, up to a factor: the vector of order r* that attains y's r-norm."""
    unit = y.abs().amax(-1, keepdim=True)
    y = y / torch.where(unit > 0, unit, 1.0)
    return y.sign() * y.abs() ** (r - 1)


def _largest_column(weights: Tensor, q: float) -> Tensor:
    j = vector_norm(weights, q, 1).argmax(1)
    return torch.nn.functional.one_hot(j, weights.shape[2]).to(weights)


def _dual_to_largest_row(weights: Tensor, p: float) -> Tensor:
    """psi_{p*}(w_i) of the row with the largest p*-norm, (n, in): x of order p with w_i x = ||w_i||_{p*} ||x||_p."""
    i = vector_norm(weights, dual(p), 2).argmax(1)
    x = _psi(weights[torch.arange(len(weights)), i], dual(p))
    return torch.where((x != 0).any(1, keepdim=True), x, 1.0)


def _first_vectors(weights: Tensor, p: float, q: float, starts: int) -> Tensor:
    """The starts of the power method, (n, starts, in)."""
    top = torch.linalg.svd(weights, full_matrices=False).Vh[:, 0]
    signs = torch.where(top < 0, -1.0, torch.ones_like(top))
    fixed = [_largest_column(weights, q), top, signs, _dual_to_largest_row(weights, p), torch.ones_like(top)]
    shape = (len(weights), max(0, starts - len(fixed)), weights.shape[2])
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(weights.device)
    return torch.cat([torch.stack(fixed, 1), drawn], 1)[:, :starts]


def largest_singular_value(a: Tensor) -> Tensor:
    """||A||_2, (..., 2, 2) -> (...).

    A is the sum of a similarity (a rotation times a factor) and a mirrored similarity. Their factors add up.
    """
    (a, b), (c, d) = (row.unbind(-1) for row in a.unbind(-2))
    return (torch.hypot(a + d, b - c) + torch.hypot(a - d, b + c)) / 2


# Directions of the half circle.
DIRECTIONS = 64
# This many matrices at a time fit in the cache and one thread. On a busy machine, several threads wait for each other.
CHUNK = 450


@torch.no_grad()
def norm_of_2x2(a: Tensor, p: float) -> Tensor:
    """||A||_{p->p} of many matrices in the plane, (..., 2, 2) -> (...), float64. For p = 1, 2 and inf in closed form.

    For other orders it is ||Ax||_p / ||x||_p in the best direction found, so a lower bound. The direction is where the
    parabolas through neighbours among DIRECTIONS have their highest peak. The relative error is at most 1e-4 for orders
    up to 20 and their duals, and 3e-4 beyond (compared with a dense search, not proven). Orders below 2 use the dual,
    ||A||_{p->p} = ||A'||_{p*->p*}, because its unit circle has no corners. NaN for a matrix that is not finite. Raises
    ValueError if p is below 1 or NaN.
    """
    check_order(p)
    if p < 2:
        return norm_of_2x2(a.mT, dual(p))
    unit, largest = normalised(a)
    if p == 2:
        return largest * largest_singular_value(unit)
    if p == math.inf:
        return largest * unit.abs().sum(-1).amax(-1)
    parts = unit.reshape(-1, 4).T.contiguous().split(CHUNK, 1)
    return largest * torch.cat([_largest_stretch(part, p) for part in parts]).reshape(a.shape[:-2])


def _largest_stretch(entries: Tensor, p: float) -> Tensor:
    """The largest ||Ax||_p / ||x||_p found, (n,), for the entries (4, n) of A, p > 2."""
    step = math.pi / DIRECTIONS
    # The search is in float32, for speed. The value at the place found is in the type of A.
    coarse = entries.float()
    nodes = step * torch.arange(-1, DIRECTIONS + 1).to(coarse)
    values = _stretch(coarse, nodes[:, None], p)
    shift, peak = _parabola(values[:-2], values[1:-1], values[2:])
    best = peak.argmax(0, keepdim=True)
    node = nodes[1:][best] + step * shift.gather(0, best)
    return _stretch(entries, node.to(entries), p)[0]


def _stretch(entries: Tensor, nodes: Tensor, p: float) -> Tensor:
    """||Ax||_p / ||x||_p for entries (4, n) and nodes (k, n or 1) of the half circle: (k, n).

    Nodes are closer together near the diagonals, because the unit circle of a high order has its corners there.
    """
    angles = nodes if p <= 4 else nodes + (1 - 4 / p) / 4 * (4 * nodes).sin()
    x, y = angles.cos(), angles.sin()
    length = _plane_norm(x, y, p)
    x, y = x / length, y / length
    a, b, c, d = entries
    return _plane_norm((a * x).add_(b * y), (c * x).add_(d * y), p)


def _plane_norm(x: Tensor, y: Tensor, p: float) -> Tensor:
    """||(x, y)||_p, with one power less than the plain sum."""
    x, y = x.abs(), y.abs()
    larger = torch.maximum(x, y)
    ratio = torch.minimum(x, y).div_(larger.clamp(min=torch.finfo(x.dtype).tiny))
    return ratio.pow_(p).add_(1).pow_(1 / p).mul_(larger)


def _parabola(left: Tensor, middle: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Place, between -1 and 1, and height of the peak of the parabola through three values; an end if it opens
    upwards.
    """
    slope = right - left
    bend = (2 * middle).sub_(left).sub_(right).clamp_(min=1e-30)
    shift = (slope / bend).mul_(0.5).clamp_(-1, 1)
    return shift, torch.addcmul(middle, slope.mul_(0.5).addcmul_(bend, shift, value=-0.5), shift)
