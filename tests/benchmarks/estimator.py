"""The estimator's bench: throws beside a plain NumPy program, closed forms beside Monte Carlo, and maps of the plane.

One thread, CPU. The flow is the trained one that comes with the app, at 100 x 100 nodes and 500 data points.

    python -m tests.benchmarks.estimator [--rounds 7]
"""

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from app import examples
from app.components.map_and_disc import scene
from app.engine.training.measurements.jacobians import Jacobians
from app.estimates import maps
from app.estimates.hashed_jacobians import HashedJacobians
from app.estimates.sample import Sample, coverage
from app.estimates.settings import MOST_THROWS, Bench
from app.features.estimator import sweeps
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.data import DATASETS
from resflow_core.estimators.draws import draw_estimates, snippet
from resflow_core.log_det import Roulette
from resflow_core.roulette import Geometric
from tests.benchmarks.measured import measured
from tests.core.oracles import LinearBranch

A = Bench().array
LAW = Geometric(0.5, 3)
THROWS = 100_000
NODES = 100


def example() -> Jacobians:
    """Of the trained flow."""
    flow, data = flow_file.from_bytes(examples.flow()), DATASETS[examples.DATA]
    grid, points = (
        np.ascontiguousarray(measure.evaluate(flow, x).jacobians.swapaxes(0, 1))
        for x in (measure.grid_points(data.window, NODES), data.held_out()[:500])
    )
    return Jacobians(4000, grid, points, np.ones((NODES, NODES), np.float32), data.window)


def by_snippet() -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        exec(snippet(A, LAW, "gaussian", THROWS, 0), {})


def by_core() -> None:
    with torch.no_grad():
        x = torch.zeros(THROWS, 2, dtype=torch.float64)
        Roulette(LAW).value_and_log_det(LinearBranch(), x, torch.Generator().manual_seed(0))


def a_million() -> None:
    sample = Sample(Bench())
    sample.want(MOST_THROWS)
    while sample.busy:
        sample.go_on()


def curve(bench: Bench, jacobians: Jacobians) -> None:
    """All numbers of the charts across settings, from the matrices on."""
    for cached in (sweeps._of_matrix, sweeps._of_flow, sweeps.across_p, sweeps.across_batches):
        cached.cache_clear()
    subject = sweeps.subject_of(bench, jacobians)
    sweeps.across_p(subject, bench)
    sweeps.across_probes(subject, bench, 3)
    sweeps.across_batches(subject, bench)
    sweeps.optimum(subject, bench)


def redrawn(bench: Bench, jacobians: Jacobians) -> None:
    """As when p was moved: the matrices are known."""
    sweeps.across_p.cache_clear()
    sweeps.across_batches.cache_clear()
    subject = sweeps.subject_of(bench, jacobians)
    sweeps.across_p(subject, bench)
    sweeps.across_probes(subject, bench, 3)
    sweeps.across_batches(subject, bench)


def drawn(bench: Bench, jacobians: Jacobians) -> None:
    """A map and the scene that is sent of it."""
    f = maps.field(HashedJacobians(jacobians), bench)
    scene(
        jacobians.window, f.value, f.infinite, f.radius, f.eigenvalues, f.series_error, title="", name="", unit="",
        signed=False, limit=0.7, circles=[], axes=["x", "y"], alt={},
    )  # fmt: skip


def afresh(bench: Bench, jacobians: Jacobians) -> None:
    maps._grid.cache_clear()
    maps._quadratic.cache_clear()
    drawn(bench, jacobians)


def works() -> dict[str, Callable[[], None]]:
    jacobians = example()
    flow = replace(Bench(), subject="flow")
    values = iter(np.tile(np.linspace(0.2, 0.7, 50), 100).tolist())

    def another_p(**changes) -> Bench:
        return replace(Bench(), law=Geometric(next(values), 3), **changes)

    return {
        f"{THROWS:,} throws": lambda: draw_estimates(A, LAW, "gaussian", THROWS, 0),
        "the same by the snippet, plain NumPy": by_snippet,
        "the same by the estimator that trains": by_core,
        "a million throws in chunks": a_million,
        "coverage, 452,000 throws": lambda: coverage.__wrapped__(Bench(), 0.596),
        "variance by p, Monte Carlo, 6 values of p": lambda: sweeps.monte_carlo(Bench(), 3),
        "variance by p, closed form, 61 values x 5 lines": lambda: sweeps.across_p.__wrapped__(
            sweeps.subject_of(Bench(), None), Bench()
        ),
        "all charts of a matrix, from its entries": lambda: curve(Bench(), jacobians),
        "all charts of a matrix, p moved": lambda: redrawn(another_p(), jacobians),
        "all charts of the flow, from its Jacobians": lambda: curve(flow, jacobians),
        "all charts of the flow, p moved": lambda: redrawn(another_p(subject="flow"), jacobians),
        "map of the whole flow, first": lambda: afresh(Bench(), jacobians),
        "map of the whole flow, p moved": lambda: drawn(another_p(), jacobians),
        "map of the whole flow, another probe": lambda: drawn(another_p(probe="rademacher"), jacobians),
        "map of the whole flow, bias": lambda: drawn(replace(Bench(), map="bias"), jacobians),
        "map of one block, first": lambda: drawn(another_p(block=5), jacobians),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    work = works()
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for round_ in range(rounds + 1):
        for name, run in work.items():
            start = time.perf_counter()
            run()
            if round_:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    measured(({f"seconds of {name}": value} for name, taken in seconds.items() for value in taken), "the bench")
    print("| work | median ms | fastest ms |\n|---|---|---|")
    for name, taken in seconds.items():
        print(f"| {name} | {1000 * statistics.median(taken):.1f} | {1000 * min(taken):.1f} |")


if __name__ == "__main__":
    main()
