"""Closed forms across settings against sums over NumPy's matrix powers, against throws, and against batches that NumPy
draws; verdicts and presets against both."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.engine.training.measurements.jacobians import Jacobians
from app.estimates.settings import ENTRIES, Bench
from app.features.estimator import presets, verdicts
from app.features.estimator.across import cost_table
from app.features.estimator.sweeps import (
    LAMBDAS,
    LINES,
    PAPER,
    P,
    across_batches,
    across_first_term,
    across_lambda,
    across_p,
    across_probes,
    cost,
    crossing,
    monte_carlo,
    optimum,
    subject_of,
)
from resflow_core.probes import PROBES
from resflow_core.roulette import Custom, Geometric, Poisson, expected_terms
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET
from tests.covering import covering

A = KNOWN_A.numpy()
KNOWN = Bench(view="settings", matrix=tuple(A.ravel().tolist()))
ZERO, NILPOTENT, DIAGONAL = (0.0, 0.0, 0.0, 0.0), (0.4, -0.4, 0.4, -0.4), (0.3, 0.0, 0.0, -0.4)
STEEP, LARGEST, LIMIT = (0.9, 0.3, 0.1, -0.2), (0.99, 1.0, 0.0, 0.99), (0.5, -0.5, 0.5, 0.5)
TERMS = 60  # of KNOWN's remainders are all that float64 can see: 0.41^60 = 1e-23
POINTS = (0.35 * np.random.default_rng(0).uniform(-1, 1, (3, 5, 2, 2))).astype(np.float32)


def summands(a, b, quantity):
    """M_0, M_1, ... by matrix powers alone."""
    powers = [np.linalg.matrix_power(a, k) for k in range(TERMS + 1)]
    for k in range(TERMS):
        a_k = -((-1) ** k) / k if k else 0.0
        if quantity == "log_det":
            yield a_k * powers[k]
        elif quantity == "neumann":
            yield (-1) ** k * powers[k] @ b
        else:
            yield a_k * sum((powers[j] @ b @ powers[k - 1 - j] for j in range(k)), np.zeros((2, 2)))


def one_probes_variance(s, probe):
    """Of v'Sv, from the entries."""
    s = (s + s.T) / 2
    if probe == "gaussian":
        return 2 * (s**2).sum()
    if probe == "rademacher":
        return 4 * s[0, 1] ** 2
    return (s**2).sum() - np.trace(s) ** 2 / 2


def numpys(a, b, quantity, law, probe, n_probes=1, n_draws=1, first_exact=False):
    """(probe, roulette): V(R_0) / K and the sum of (1 / P(N >= n + 1) - 1 / P(N >= n)) E T_{n+1}^2 / M."""
    of = list(summands(a, b, quantity))
    if first_exact:  # of a Neumann series that is M_0, and else M_1
        of[quantity != "neumann"] = np.zeros((2, 2))
    rests = np.cumsum(of[::-1], 0)[::-1]
    survival = law.survival(torch.arange(TERMS + 1)).numpy()
    noise = sum(
        (1 / survival[n + 1] - 1 / survival[n])
        * (one_probes_variance(rests[n + 1], probe) / n_probes + np.trace(rests[n + 1]) ** 2)
        for n in range(TERMS - 1)
    )
    return one_probes_variance(rests[0], probe) / n_probes, noise / n_draws


def flow(points):
    """Jacobians of a flow with its points at (blocks, points, 2, 2)."""
    return Jacobians(0, points, points, np.ones((2, 2), np.float32), ((-1, 1), (-1, 1)))


def scattered():
    """Of a flow of random blocks with spectral radii up to 0.65, far from alike."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(2, 40, 2, 2))
    a *= (rng.uniform(0.05, 0.65, (2, 40)) / np.abs(np.linalg.eigvals(a)).max(-1))[..., None, None]
    return flow(a.astype(np.float32))


class TestMatrix:
    @pytest.mark.parametrize(
        "case",
        covering(
            {
                "quantity": ["log_det", "neumann", "plain"],
                "probe": list(PROBES),
                "first_exact": [False, True],
                "law": [Geometric(0.5, 3), Geometric(0.6, 0), Custom((0.9, 0.7, 0.3))],
                "many": [(1, 1), (1, 3)],
            }
        ),
        ids=str,
    )
    def test_costs_are_numpys(self, case):
        quantity, probe, first_exact, law, many = case.values()
        subject = subject_of(replace(KNOWN, quantity=quantity, entry="21", first_exact=first_exact), None)
        expected = numpys(A, ENTRIES["21"].derivative(2), quantity, law, probe, *many, first_exact=first_exact)
        found = cost(subject, law, probe, *many)
        assert (found.probe, found.roulette) == pytest.approx(expected, rel=1e-9)
        assert found.terms == pytest.approx(expected_terms(law, many[1]))
        assert found.total == found.probe + found.roulette and found.product == found.total * found.terms

    def test_truth_bias_and_truncated_variance_are_numpys(self):
        subject = subject_of(KNOWN, None)
        assert subject.radius == pytest.approx(np.abs(np.linalg.eigvals(A)).max())
        assert subject.truth == pytest.approx(KNOWN_LOG_DET, abs=1e-9)
        partial = list(np.cumsum(list(summands(A, None, "log_det")), 0))
        for n in (1, 5, 30):
            assert subject.bias(n) == pytest.approx(np.trace(partial[n]) - subject.truth, abs=1e-14)
            expected = one_probes_variance(partial[n], "rademacher") / 3
            assert subject.truncated_variance(n, "rademacher", 3) == pytest.approx(expected, rel=1e-12)
        inverse = np.linalg.inv(np.eye(2) + A)
        for name, entry in ENTRIES.items():
            gradient = subject_of(replace(KNOWN, quantity="plain", entry=name), None)
            assert gradient.truth == pytest.approx(inverse.T[entry.place], abs=1e-12)

    def test_with_the_first_term_exact_there_is_less_noise(self):
        whole, exact = (subject_of(replace(KNOWN, first_exact=of), None) for of in (False, True))
        assert (exact.truth, exact.bias(3)) == (whole.truth, whole.bias(3))
        expected = one_probes_variance(sum(list(summands(A, None, "log_det"))[2:6]), "gaussian")
        assert exact.truncated_variance(5, "gaussian", 1) == pytest.approx(expected, rel=1e-12)
        costs = [cost(subject, PAPER, "gaussian").total for subject in (whole, exact)]
        for subject in (whole, exact):
            found = verdicts.first_term(KNOWN, subject)
            assert (found.estimated, found.exact) == tuple(costs) and found.factor > 10
            assert found.factor == pytest.approx(costs[0] / costs[1])
        at = int(np.flatnonzero(P == 0.5)[0])
        drawn = across_first_term(whole, KNOWN, 3)
        assert [drawn[exact][at].total for exact in (False, True)] == pytest.approx(costs)

    def test_across_p_there_is_a_line_for_each_number_of_exact_terms(self):
        bench = replace(KNOWN, law=Geometric(0.3, 0), probe="sphere")
        subject = subject_of(bench, None)
        found = across_p(subject, bench)
        assert set(found) == {*LINES, 0}
        for n, costs in found.items():
            for index in (0, 45):
                expected = numpys(A, None, "log_det", Geometric(float(P[index]), n), "sphere")
                assert (costs[index].probe, costs[index].roulette) == pytest.approx(expected, rel=1e-6)
            # 1 - rho^2 = 0.835: finite below, infinite beyond.
            assert [np.isfinite(c.total) for c in costs] == [bool(p < 1 - subject.radius**2) for p in P]
        of_probes = across_probes(subject, bench, 2)
        for probe in PROBES:
            assert of_probes[probe][30].total == cost(subject, Geometric(float(P[30]), 2), probe).total
        lines = cost_table(subject, bench).decode().splitlines()
        assert len(lines) == 1 + len(found) * len(P)
        first = found[0][0]
        assert list(map(float, lines[1].split(","))) == pytest.approx(
            [0, P[0], first.probe, first.roulette, first.terms, first.product], rel=1e-5
        )

    def test_poisson_laws_are_infinite_at_every_lambda_unless_the_series_ends(self):
        for matrix, finite in ((NILPOTENT, True), (KNOWN.matrix, False)):
            bench = Bench(matrix=matrix, law=Poisson(2.0, 4), probe="rademacher")
            found = across_lambda(subject_of(bench, None), bench)
            assert set(found) == {*LINES, 4} and all(len(costs) == len(LAMBDAS) for costs in found.values())
            assert all(np.isfinite(c.total) == finite for costs in found.values() for c in costs)

    @pytest.mark.parametrize("probe", ["gaussian", "orthogonal"])
    def test_dots_are_within_their_errors_of_the_closed_form(self, probe):
        dots = monte_carlo(replace(KNOWN, probe=probe, seed=1), 3)
        # 1 - rho^(4/3) = 0.699: beyond, their errors would mean nothing.
        assert [p for p, _, _ in dots] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
        for p, variance, error in dots:
            expected = sum(numpys(A, None, "log_det", Geometric(p, 3), probe))
            assert abs(variance - expected) < 5 * error + 1e-12
            assert error < 0.5 * expected
        assert monte_carlo(replace(KNOWN, matrix=(0.95, 0.0, 0.0, 0.1)), 3) == []
        assert len(monte_carlo(replace(KNOWN, matrix=NILPOTENT), 3)) == 9


class TestFlow:
    def test_variances_are_sums_over_blocks_and_means_over_points(self):
        exact = POINTS.astype(float)
        for quantity in ("log_det", "neumann"):
            subject = subject_of(replace(KNOWN, subject="flow", quantity=quantity), flow(POINTS))
            b = ENTRIES["12"].derivative(2)
            each = [[numpys(a, b, quantity, PAPER, "sphere") for a in block] for block in exact]
            found = cost(subject, PAPER, "sphere")
            assert (found.probe, found.roulette) == pytest.approx(np.sum(each, 0).mean(0), rel=1e-6)
        subject = subject_of(replace(KNOWN, subject="flow"), flow(POINTS))
        assert subject.radius == pytest.approx(np.abs(np.linalg.eigvals(exact)).max(), rel=1e-9)
        truth = np.linalg.slogdet(np.eye(2) + exact)[1].sum(0).mean()
        cut = np.array([[sum(list(summands(a, None, "log_det"))[:4]) for a in block] for block in exact])
        assert subject.truth == pytest.approx(truth, abs=1e-12)
        bias = np.trace(cut, axis1=2, axis2=3).sum(0).mean() - truth
        assert subject.bias(3) == pytest.approx(bias, abs=1e-12)
        variances = [[one_probes_variance(s, "gaussian") for s in block] for block in cut]
        assert subject.truncated_variance(3, "gaussian", 2) == pytest.approx(np.sum(variances, 0).mean() / 2)


class TestBatches:
    @pytest.mark.parametrize(("probe", "n_probes"), [("rademacher", 1), ("orthogonal", 2)])
    def test_the_truncated_error_of_a_batch_mean_is_that_of_batches(self, probe, n_probes):
        # One mean over a batch less the log det of the same points; 5 standard errors are at most 5 % of its square.
        found, n = scattered(), 3
        a = found.points.astype(float)
        powers = [np.linalg.matrix_power(a, k) for k in range(1, n + 1)]
        series = sum(-((-1.0) ** k) / k * power for k, power in enumerate(powers, 1))
        bias = (np.trace(series, axis1=2, axis2=3) - np.linalg.slogdet(np.eye(2) + a)[1]).sum(0)
        off = 0 if probe == "orthogonal" else series[..., 0, 1] + series[..., 1, 0]
        rng = np.random.default_rng(1)
        for size in (1, 3, 9):
            bench = Bench(subject="flow", n_terms=n, batch=size, probe=probe, n_probes=n_probes)
            batches = across_batches(subject_of(bench, found), bench)
            which = rng.integers(40, size=(100_000, size))
            noise = 0.0
            if probe != "orthogonal":
                noise = (rng.choice([-1.0, 1.0], (2, *which.shape)) * off[:, which]).sum(0)
            square = (bias[which] + noise).mean(1) ** 2
            error = square.std() / 100_000**0.5
            assert abs(batches.truncated[np.flatnonzero(batches.sizes == size)[0]] ** 2 - square.mean()) < 5 * error
            assert error < 0.01 * square.mean()

    def test_who_wins_at_a_batch_changes_at_the_crossing(self):
        assert crossing(subject_of(KNOWN, None), KNOWN) == pytest.approx(1547, abs=1)
        found = scattered()
        bench = Bench(subject="flow", law=Geometric(0.5, 1), n_terms=3)
        subject = subject_of(bench, found)
        where = int(crossing(subject, bench))
        for batch, winner in ((where, "truncated"), (where + 1, "roulette")):
            errors = verdicts.batch_errors(replace(bench, batch=batch), subject)
            assert (errors.batch, errors.winner, errors.crossing) == (batch, winner, crossing(subject, bench))
            assert (errors.n_terms, errors.bias) == (3, subject.bias(3))

    @pytest.mark.parametrize(
        ("matrix", "winner", "where"),
        [(ZERO, "neither", 1), (LIMIT, "undecided", None), (STEEP, "truncated", np.inf), (NILPOTENT, None, np.inf)],
    )
    def test_they_need_not_cross(self, matrix, winner, where):
        bench = Bench(matrix=matrix, law=Geometric(0.5, 0) if matrix == NILPOTENT else PAPER)
        subject = subject_of(bench, None)
        assert where is None or crossing(subject, bench) == where
        assert winner is None or verdicts.batch_errors(bench, subject).winner == winner

    def test_what_one_n_for_all_adds_stays(self):
        bench = Bench(law=Geometric(0.5, 1), batch=64)
        for of, stays in ((bench, True), (replace(bench, matrix=ZERO), False), (replace(bench, batch=1), False)):
            assert verdicts.shared_n(of, subject_of(of, None)).stays is stays


class TestVerdicts:
    def test_the_cheapest_geometric_law_is_that_of_all_that_are_drawn(self):
        subject = subject_of(KNOWN, None)
        found = verdicts.products(KNOWN, subject)
        drawn = {(float(p), n): c.product for n, costs in across_p(subject, KNOWN).items()
                 for p, c in zip(P, costs, strict=True) if np.isfinite(c.total)}  # fmt: skip
        law, least = found.geometric
        assert (law.p, law.n_exact) == min(drawn, key=drawn.get)
        assert least.product == min(drawn.values()) and least == cost(subject, law, "gaussian")
        best = optimum(subject, KNOWN)
        assert found.best == cost(subject, best, "gaussian") and found.survival == best.table[:4]
        assert found.paper == cost(subject, PAPER, "gaussian")
        assert found.best.product <= least.product <= found.paper.product

    @pytest.mark.parametrize(("matrix", "can_be_finite"), [(LARGEST, False), (STEEP, True)])
    def test_where_no_p_makes_it_finite_each_probe_has_its_best_law(self, matrix, can_be_finite):
        bench = replace(KNOWN, matrix=matrix)
        subject = subject_of(bench, None)
        found = verdicts.probes(bench, subject)
        assert found.can_be_finite == can_be_finite
        assert (verdicts.products(bench, subject).geometric is None) is not can_be_finite
        assert found.variances == {probe: cost(subject, bench.law, probe).total for probe in PROBES}
        assert set(found.products) == (set() if can_be_finite else set(PROBES))
        for probe, product in found.products.items():
            assert product == cost(subject, optimum(subject, replace(bench, probe=probe)), probe).product

    def test_points_with_an_infinite_variance_are_counted(self):
        radius = np.linspace(0, 0.99, 100)
        found = verdicts.infinite_points(radius, 0.5)
        assert found.share == np.mean(radius**2 > 0.5) == pytest.approx(0.29)
        assert np.mean(radius**2 > 1 - found.safe) == pytest.approx(0.01)


class TestPresets:
    def found(self, bench, name):
        return presets.performance(presets.PRESETS[name], bench, subject_of(bench, None))

    def test_they_have_numpys_numbers(self):
        known = {"paper": ("gaussian", False), "rademacher": ("rademacher", False), "first_exact": ("gaussian", True)}
        for name, (probe, first_exact) in known.items():
            variance = sum(numpys(A, None, "log_det", PAPER, probe, first_exact=first_exact))
            found = self.found(KNOWN, name)
            assert (found.bias, found.cost.total, found.cost.terms) == (0, pytest.approx(variance), pytest.approx(4))
        infinite = self.found(KNOWN, "image")
        assert (infinite.bias, infinite.cost.total, infinite.cost.terms) == (0, np.inf, pytest.approx(4))
        cut = sum(list(summands(A, None, "log_det"))[:6])
        variance, bias = one_probes_variance(cut, "gaussian"), np.trace(cut) - KNOWN_LOG_DET
        found = self.found(KNOWN, "i-resnet-5")
        assert (found.bias, found.cost.total) == (pytest.approx(bias, abs=1e-9), pytest.approx(variance))
        assert (found.cost.terms, found.cost.product) == (5, pytest.approx(5 * variance))

    def test_presets_leave_the_rest_of_the_bench_alone(self):
        bench = replace(KNOWN, seed=5, batch=64, n_probes=3, n_draws=2)
        changed = {name: one.change(bench, subject_of(bench, None)) for name, one in presets.PRESETS.items()}
        assert changed["paper"] == replace(bench, law=Geometric(0.5, 3), probe="gaussian", n_probes=1, n_draws=1)
        assert changed["image"].law == Poisson(2.0, 2)
        assert changed["i-resnet-10"] == replace(bench, n_terms=10, probe="gaussian", n_probes=1)
