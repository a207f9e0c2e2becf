"""Sweeps over a flow's data against batches that NumPy draws."""

from dataclasses import replace

import numpy as np
import pytest

from app.engine.training.measurements.jacobians import Jacobians
from app.estimates.settings import Bench
from app.features.estimator.sweeps import across_batches, crossing, subject_of
from app.features.estimator.verdicts import batch_errors, shared_n
from resflow_core.roulette import Geometric

BLOCKS, POINTS = 2, 40


def jacobians():
    """Of random blocks with spectral radii up to 0.65, far from alike."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(BLOCKS, POINTS, 2, 2))
    a *= (rng.uniform(0.05, 0.65, (BLOCKS, POINTS)) / np.abs(np.linalg.eigvals(a)).max(-1))[..., None, None]
    return Jacobians(7, a.astype(np.float32), a.astype(np.float32), np.ones((1, 1)), ((-1.0, 1.0), (-1.0, 1.0)))


@pytest.mark.parametrize(("probe", "n_probes"), [("rademacher", 1), ("orthogonal", 2)])
def test_the_truncated_error_of_a_batch_mean_is_that_of_batches(probe, n_probes):
    # One mean over a batch less the log det of the same points; 5 standard errors are at most 5 % of the mean square.
    found, n = jacobians(), 3
    a = found.points.astype(float)
    powers = [np.linalg.matrix_power(a, k) for k in range(1, n + 1)]
    series = sum(-((-1.0) ** k) / k * power for k, power in enumerate(powers, 1))
    bias = (np.trace(series, axis1=2, axis2=3) - np.linalg.slogdet(np.eye(2) + a)[1]).sum(0)
    off = 0 if probe == "orthogonal" else series[..., 0, 1] + series[..., 1, 0]
    rng = np.random.default_rng(1)
    for size in (1, 3, 9):
        bench = Bench(subject="flow", n_terms=n, batch=size, probe=probe, n_probes=n_probes)
        batches = across_batches(subject_of(bench, found), bench)
        which = rng.integers(POINTS, size=(200_000, size))
        noise = 0.0
        if probe != "orthogonal":
            noise = (rng.choice([-1.0, 1.0], (BLOCKS, *which.shape)) * off[:, which]).sum(0)
        square = (bias[which] + noise).mean(1) ** 2
        at = np.flatnonzero(batches.sizes == size)[0]
        assert abs(batches.truncated[at] ** 2 - square.mean()) < 5 * square.std() / 200_000**0.5
        assert square.std() / 200_000**0.5 < 0.01 * square.mean()


def test_the_errors_cross_at_the_crossing():
    found = jacobians()
    bench = Bench(subject="flow", law=Geometric(0.5, 1), n_terms=3)
    where = crossing(subject_of(bench, found), bench)
    assert 2 < where < 60_000
    own, truncated = [], []
    for size in (int(where), int(where) + 1):
        at = replace(bench, batch=size)
        batches = across_batches(subject_of(at, found), at)
        index = np.flatnonzero(batches.sizes == size)[0]
        own.append(batches.own[index]), truncated.append(batches.truncated[index])
    assert own[0] >= truncated[0] and own[1] <= truncated[1]


def test_who_wins_at_a_batch():
    found = jacobians()
    bench = Bench(subject="flow", law=Geometric(0.5, 1), n_terms=3)
    subject = subject_of(bench, found)
    where = int(crossing(subject, bench))
    for batch, winner in ((where, "truncated"), (where + 1, "roulette")):
        errors = batch_errors(replace(bench, batch=batch), subject)
        assert (errors.batch, errors.winner, errors.crossing) == (batch, winner, crossing(subject, bench))
        assert (errors.n_terms, errors.bias) == (3, subject.bias(3))
    for matrix, winner in (
        ((0.0, 0.0, 0.0, 0.0), "neither"),
        ((0.5, -0.5, 0.5, 0.5), "undecided"),
        ((0.9, 0.3, 0.1, -0.2), "truncated"),
    ):
        bench = Bench(matrix=matrix)
        assert batch_errors(bench, subject_of(bench, None)).winner == winner


def test_what_one_n_for_all_adds_stays():
    bench = Bench(law=Geometric(0.5, 1), batch=64)
    found = shared_n(bench, subject_of(bench, None))
    assert found.batch == 64 and found.shared > found.own and found.stays
    zero = Bench(matrix=(0.0, 0.0, 0.0, 0.0), batch=64)
    assert not shared_n(zero, subject_of(zero, None)).stays
    one = replace(bench, batch=1)  # whose N is its own
    assert not shared_n(one, subject_of(one, None)).stays
