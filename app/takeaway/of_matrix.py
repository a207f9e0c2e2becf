"""Programs of figures that need no training: draws of an estimate, and norms of a matrix."""

from collections.abc import Mapping
from itertools import pairwise

from app.estimates.settings import SUSPECTS, Bench
from app.takeaway.source import Source, call, listed, mapped, program
from resflow_core.estimators.moments import terms_for
from resflow_core.log_det import Roulette

THEOREM = """
A residual block x + g(x) with the Jacobian A = dg/dx needs log det(I + A). One draw of Russian roulette takes a random
number of terms N and a random vector v with E vv' = I (Theorem 1 of Chen, Behrmann, Duvenaud & Jacobsen, 2019):

    sum over k = 1, ..., N of a_k / P(N >= k) v'A^k v,    a_k = (-1)^(k+1) / k

Its mean is log det(I + A).
"""
OF_ESTIMATE = f"Draw estimates of log det(I + A), and compare their mean with the truth.\n{THEOREM}"
OF_COINS = f"Estimate log det(I + A) with real coins, which give both N and the signs of v.\n{THEOREM}"
OF_NORM = """
The norm of a linear map of the plane, from the norm of order p to that of order q.

    ||W|| = sup ||W x||_q / ||x||_p

For p = q = 2 it is the largest singular value. For p = 1 and for q = infinity it has a closed form; otherwise it lies
between the largest value that was found and a proven bound. Chen, Behrmann, Duvenaud & Jacobsen (NeurIPS 2019) bound
the layers of a residual flow in such mixed norms.
"""


def of_estimate(bench: Bench, draws: int) -> str:
    """The first draws of the bench's seed, at least 2: their mean, and the closed forms beside it."""
    source = Source()
    bug = "" if bench.is_sound else f'"{SUSPECTS[bench.suspect].bug}", '
    module = "draws" if bench.is_sound else "faulty_estimators"
    source.use("draw_estimates", of=f"resflow_core.estimators.{module}")
    drawn = [
        "# The draws. NumPy's PCG64 from this seed gives each of them a fixed number of uniform numbers.",
        *([] if bench.is_sound else ["# This estimator has a planted bug."]),
        f"draws, seed = {draws}, {bench.seed}",
        f"estimates = draw_estimates({bug}A, law, probe, draws, seed{exact(bench)}).value",
        "deviation = estimates.std(ddof=1)",
        'print(f"Mean of the draws: {estimates.mean():.7g} ± {deviation / draws**0.5:.2g} nats")',
        'print(f"Standard deviation of the draws: {deviation:.6g} nats")',
    ]
    sections = [estimator(source, bench), "\n".join(drawn), _closed_forms(source, bench)]
    return program(OF_ESTIMATE, source, *sections)


def of_coins(bench: Bench, counts: Mapping[tuple[int, int], int]) -> str:
    """Draws by real coins: how often each N came with a sign, 1 if the two signs of the probe agree and -1 if not. At
    least 2."""
    source = Source()
    source.use("values", of="resflow_core.estimators.draws")
    drawn = [
        "# What was thrown: (N, sign), and how often. The sign is 1 if both signs of v agree, and -1 if they do not.",
        f"counts = {mapped({f'({n}, {sign})': str(times) for (n, sign), times in sorted(counts.items())})}",
        "n, signs = np.array(list(counts)).T",
        "v = np.stack([np.ones(len(n)), signs], 1)",
        f"estimates = np.repeat(values(A, law, n, v{exact(bench)}), list(counts.values()))",
        "error = estimates.std(ddof=1) / len(estimates) ** 0.5",
        'print(f"Mean of the {len(estimates)} draws: {estimates.mean():.7g} ± {error:.2g} nats")',
        'print(f"Truth, log det(I + A): {np.linalg.slogdet(np.eye(len(A)) + A)[1]:.7g} nats")',
    ]
    return program(OF_COINS, source, estimator(source, bench), "\n".join(drawn))


def estimator(source: Source, bench: Bench) -> str:
    """The section that sets `A`, `law` and `probe`."""
    source.use_module("numpy as np")
    rows = [source.value([float(entry) for entry in row]) for row in bench.array]
    lines = [
        "# The matrix A, the law of the number of terms N, and the law of the probe v.",
        f"A = {call('np.array', [listed(rows)])}",
        f"law, probe = {source.value(bench.law)}, {source.value(bench.probe)}",
    ]
    return "\n".join(lines)


def exact(bench: Bench) -> str:
    """The last argument of a call, where traces are exact."""
    return f", exact_traces={bench.exact_traces}" if bench.exact_traces else ""


def terms_of(bench: Bench) -> int:
    """Of the series, so many are summed."""
    return terms_for(bench.radius, bench.law.tail_ratio)


def _closed_forms(source: Source, bench: Bench) -> str:
    lines = [
        "# Closed forms. R_n is the rest of the series from A^n on. A series that is cut after n terms is off by",
        "# -tr R_(n+1), and the variance of a draw is a weighted sum over all R_n.",
        f"rest = rf.log_det_remainders(torch.from_numpy(A)[None], {terms_of(bench)}{exact(bench)})",
        "variance = rf.roulette_variance(rest, law, probe)",
        'print(f"Truth, log det(I + A): {np.linalg.slogdet(np.eye(len(A)) + A)[1]:.7g} nats")',
        'print(f"Standard deviation of one draw: {float(variance.total) ** 0.5:.6g} nats")',
        'print(f"Variance by the probe: {float(variance.probe):.6g} nats^2")',
        'print(f"Variance by random stopping: {float(variance.roulette):.6g} nats^2")',
        f"n = {bench.n_terms}",
        'print(f"Bias of the series cut after {n} terms: {float(rf.truncation_bias(rest, n)):.6g} nats")',
    ]
    if len(bench.array) == 2:
        source.use("believed_log_det", of="resflow_core.estimators.moments")
        log_det = source.value(Roulette(bench.law, bench.probe, exact_traces=bench.exact_traces))
        lines += [
            "# An unbiased log density is not an unbiased density: the mean of exp(estimate) is not det(I + A).",
            f"believed = believed_log_det({log_det}, torch.from_numpy(A)[None])",
            'print(f"E exp(estimate) / det(I + A): {float((believed - rest.trace[0]).exp()):.6g}")',
        ]
    return "\n".join(lines)


def of_norm(matrix: tuple[float, ...], p: float, q: float) -> str:
    """||W||_{p->q} of a 2 x 2 matrix, given row by row."""
    source = Source()
    source.use("is_exact", "lower_bound", "upper_bound", "vector_norm", of="resflow_core.norms.induced")
    rows = [list(map(float, matrix[start:end])) for start, end in pairwise(range(0, 5, 2))]
    lines = [
        "# The matrix, and the orders of the two norms.",
        f"W = torch.tensor({source.value(rows)}, dtype=torch.float64)",
        f"p, q = {source.value(float(p))}, {source.value(float(q))}",
    ]
    found = [
        "# A proven upper bound, and the largest ||Wx||_q that is found with ||x||_p = 1.",
        "upper = float(upper_bound(W[None], p, q)[0])",
        "angle = torch.linspace(0, 2 * torch.pi, 721, dtype=torch.float64)",
        "x = torch.stack([angle.cos(), angle.sin()], 1)",
        "x = x / vector_norm(x, p, 1)[:, None]",
        "lower = max(float(lower_bound(W[None], p, q)[0][0]), float(vector_norm(x @ W.T, q, 1).max()))",
        'print(f"Upper bound: {upper:.6g}")',
        'print(f"Largest value found: {lower:.6g}")',
        'print(f"Closed form: {is_exact(p, q, 2, 2)}")',
    ]
    return program(OF_NORM, source, "\n".join(lines), "\n".join(found))
