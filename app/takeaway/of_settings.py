"""The program of the pictures across settings: variance, cost and bias of estimates of a matrix or of a flow."""

from app.estimates.settings import ENTRIES, Bench
from app.takeaway.of_matrix import THEOREM, estimator, exact
from app.takeaway.source import Source, literal, program
from app.takeaway.training import Run, looked_at, trained
from resflow_core.roulette import Poisson

ABOUT = f"Compare settings of the roulette: variance, cost and bias of an estimate, in closed form.\n{THEOREM}"
BATCH = f"Compare errors of a mean over a batch: unbiased with noise, or biased with less.\n{THEOREM}"
MATRIX_TERMS, FLOW_TERMS, GRADIENT_TERMS = 2048, 640, 256
FLOW_POINTS, GRADIENT_POINTS = 500, 100
LINES = (1, 2, 3, 5, 8)
"""Numbers of exact terms."""


def of_settings(bench: Bench, run: Run | None = None) -> str:
    """For the matrix of the bench, or where that is asked for, for the flow of a `run` at held-out points: one estimate
    is then the sum over its blocks, and moments are means over the points."""
    source = Source()
    sections = _subject(source, bench, run)
    return program(ABOUT, source, *sections, _costs(source, bench), _best(source, bench), _cut(source, bench))


def of_batch(bench: Bench, run: Run | None = None) -> str:
    """The error of a mean over a batch: with N of its own for each point, with one N for all, and with a series that is
    cut. As `of_settings`."""
    source = Source()
    return program(BATCH, source, *_subject(source, bench, run), _batches(source, bench))


def _subject(source: Source, bench: Bench, run: Run | None) -> list[str]:
    """The sections that set `jacobians`, `rests` of the blocks, their sum `rest`, `law` and `probe`."""
    if bench.subject == "matrix":
        return [estimator(source, bench), _of_matrix(source, bench)]
    if run is None:
        raise ValueError("run = None: the bench asks for a flow, so give its run.")
    return [*trained(source, run), _of_flow(source, bench, run)]


def _rest(source: Source, bench: Bench, terms: int) -> list[str]:
    """The lines that set `rest`, from `jacobians`, (blocks, points, d, d)."""
    source.use("QUANTITIES", of="resflow_core.estimators.moments")
    dim = bench.array.shape[0] if bench.subject == "matrix" else 2
    lines = [f'of = QUANTITIES["{bench.quantity}"].remainders']
    if bench.quantity == "log_det":
        lines.append("B = jacobians[0]  # the log det needs no derivative")
    else:
        i, j = ENTRIES[bench.entry].place
        lines.append(f"B = torch.zeros({dim}, {dim}, dtype=torch.float64)")
        lines.append(f"B[{i}, {j}] = 1  # dA by its entry in row {i + 1}, column {j + 1}")
    return [
        *lines,
        f"rests = [of(A_block, B.expand_as(A_block), {terms}) for A_block in jacobians]",
        "first, *others = [one.pooled() for one in rests]  # means over the points",
        "rest = sum(others, first)  # blocks draw independently, so their variances add",
        *_beyond(bench),
    ]


def _beyond(bench: Bench) -> list[str]:
    if not bench.exact_traces:
        return []
    return [
        f'rest = rest.beyond(QUANTITIES["{bench.quantity}"].first({bench.exact_traces}))  # the first term is exact'
    ]


def _of_matrix(source: Source, bench: Bench) -> str:
    return "\n".join(
        [
            "# The rests R_n of the series from its n-th term on. All moments follow from them.",
            "jacobians = torch.from_numpy(A)[None, None]",
            *_rest(source, bench, MATRIX_TERMS),
        ]
    )


def _of_flow(source: Source, bench: Bench, run: Run) -> str:
    is_log_det = bench.quantity == "log_det"
    points, terms = (FLOW_POINTS, FLOW_TERMS) if is_log_det else (GRADIENT_POINTS, GRADIENT_TERMS)
    return "\n".join(
        [
            "# The Jacobian A of every block at held-out points, and the rests R_n of the series from its n-th term.",
            looked_at(source, run),
            f"x = data.held_out()[:{FLOW_POINTS}]",
            f"jacobians = rf.evaluate(flow, x).jacobians[:{points}].swapaxes(0, 1).double()",
            *_rest(source, bench, terms),
            f"law, probe = {source.value(bench.law)}, {source.value(bench.probe)}",
        ]
    )


def _costs(source: Source, bench: Bench) -> str:
    source.use("expected_terms", of="resflow_core.roulette")
    of_poisson = isinstance(bench.law, Poisson)
    values = "(0.5, 1.0, 2.0, 4.0)" if of_poisson else "(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)"
    name, law = ("lambda", "rf.Poisson(value, n)") if of_poisson else ("p", "rf.Geometric(value, n)")
    return "\n".join(
        [
            "# Variance (nats^2) of an estimate, and times the expected number of terms, which is what it costs.",
            "def cost(law):",
            f"    variance = rf.roulette_variance(rest, law, probe, {bench.n_probes}, {bench.n_draws})",
            f"    return float(variance.total), expected_terms(law, {bench.n_draws})",
            "",
            "variance, terms = cost(law)",
            'print(f"Variance as it is set: {variance:.5g} nats^2, {terms:.4g} terms, product {variance * terms:.5g}")',
            f"for n in {LINES}:  # exact terms",
            f"    for value in {values}:",
            f"        variance, terms = cost({law})",
            "        product = variance * terms",
            f'        print(f"{{n}} exact, {name} = {{value}}: {{variance:.5g}} nats^2, product {{product:.5g}}")',
        ]
    )


def _best(source: Source, bench: Bench) -> str:
    source.use("NoOptimum", of="resflow_core.estimators.moments")
    return "\n".join(
        [
            "# The law with the least product of variance and terms (Rhee & Glynn 2015).",
            "try:",
            f"    best = rf.optimal_law(rest, probe, {bench.n_probes})",
            f"    variance = float(rf.roulette_variance(rest, best, probe, {bench.n_probes}).total)",
            '    print(f"Product with the best law: {variance * expected_terms(best):.5g} nats^2")',
            "except NoOptimum:",
            '    print("There is no best law: the probes make no noise, so more terms are always better")',
        ]
    )


def _cut(source: Source, bench: Bench) -> str:
    return "\n".join(
        [
            "# The biased way: the series cut after n terms. No number of draws removes its bias.",
            "for n in (1, 2, 3, 5, 10):",
            f'    bias = float(rf.truncation_bias(rest, n, "{bench.quantity}"))',
            '    print(f"Cut after {n} terms: bias {bias:.5g}")',
        ]
    )


def _batches(source: Source, bench: Bench) -> str:
    source.use("QUANTITIES", "batch_variance", "truncated_variance", of="resflow_core.estimators.moments")
    return "\n".join(
        [
            "# A mean over B points. With one N for all points, what N adds does not average out.",
            f"n, K, quantity = {bench.n_terms}, {bench.n_probes}, {literal(bench.quantity)}",
            "bias = float(rf.truncation_bias(rest, n, quantity))",
            "between = sum(one.trace for one in rests)[n - QUANTITIES[quantity].lag + 1].var(correction=0)",
            "A, B = jacobians.flatten(0, 1), B.expand_as(jacobians[0]).repeat(len(jacobians), 1, 1)",
            f"noise = truncated_variance(A, n, probe, K, quantity, B{exact(bench)})",
            "noise = noise.view(jacobians.shape[:2]).sum(0).mean()",
            f"for size in {batches_of(bench)}:",
            f"    own, shared = (batch_variance(rest, law, size, s, probe, K, {bench.n_draws}) for s in (False, True))",
            '    print(f"B = {size}, N of its own: {float(own) ** 0.5:.5g} nats")',
            '    print(f"B = {size}, one N for all: {float(shared) ** 0.5:.5g} nats")',
            "    cut = (bias**2 + float(between + noise) / size) ** 0.5",
            '    print(f"B = {size}, cut after {n} terms: {cut:.5g} nats")',
        ]
    )


def batches_of(bench: Bench) -> tuple[int, ...]:
    return tuple(sorted({1, 16, 256, 4096, bench.batch}))
