"""What was thrown, by the bench and by a class."""

from typing import TYPE_CHECKING

import numpy as np

from app.estimates.coins import parsed
from app.estimates.false_alarm import Rate, false_alarm
from app.estimates.power import power
from app.estimates.sample import THROWS_EACH, coverage, furthest, share_of_bars, thrown_settings
from app.estimates.settings import Bench
from app.features.estimator.matrix_observables import subject
from app.lessons.expression import Unknown
from app.lessons.observables import Observable
from resflow_core.estimators.draws import values
from resflow_core.estimators.faulty_estimators import FAULTY_ESTIMATORS

if TYPE_CHECKING:
    from app.lessons.observables import Situation


def _throws(at: "Situation") -> int:
    return len(at.thrown)


def _mean(at: "Situation") -> float:
    if not len(at.thrown):
        raise Unknown
    return float(at.thrown.mean())


def _mean_error(at: "Situation") -> float:
    if len(at.thrown) < 2:
        raise Unknown
    return float(at.thrown.std(ddof=1) / len(at.thrown) ** 0.5)


def _spread(at: "Situation", first: int) -> float:
    if not 2 <= first <= len(at.thrown):
        raise Unknown
    return float(at.thrown[: int(first)].std(ddof=1))


def _furthest_throw(at: "Situation") -> float:
    if not len(at.thrown):
        raise Unknown
    return float(np.abs(at.thrown - subject(at).truth).max())


def _own_coverage(at: "Situation", each: int) -> float:
    """Of the error bars of the first `each` draws, of the next, and so on; a rest is left out."""
    bars = len(at.thrown) // each if each >= 2 else 0
    if not bars:
        raise Unknown
    return share_of_bars(at.thrown[: bars * each].reshape(bars, each), subject(at).truth)


def _share(at: "Situation", terms: int) -> float:
    if not at.counts.sum():
        raise Unknown
    return float(at.counts[int(terms)] / at.counts.sum()) if terms < len(at.counts) else 0.0


def _law_gap(at: "Situation") -> float:
    if (found := furthest(at.bench(Bench).law, at.counts)) is None:
        raise Unknown
    return found.off


def _bug_mean(at: "Situation", bug: str) -> float:
    bench = at.bench(Bench)
    return FAULTY_ESTIMATORS[bug].mean(bench.array, bench.law, bench.exact_traces)


def _suspect_mean(at: "Situation") -> float:
    bench = at.bench(Bench)
    return bench.estimator.mean(bench.array, bench.law, bench.exact_traces)


def _coins(at: "Situation") -> np.ndarray:
    """The estimates that a class has thrown; none while what was typed cannot be read."""
    bench = at.bench(Bench)
    if len(bench.array) > 2:
        raise Unknown
    try:
        n, signs = parsed(at.coins, getattr(bench.law, "n_exact", 0))
    except ValueError:
        raise Unknown from None
    v = np.stack([np.ones(len(n)), signs], 1)
    return values(bench.array, bench.law, n, v, bench.exact_traces) if len(n) else np.empty(0)


def _coin_mean(at: "Situation") -> float:
    if not len(thrown := _coins(at)):
        raise Unknown
    return float(thrown.mean())


def _coin_error(at: "Situation") -> float:
    if len(thrown := _coins(at)) < 2:
        raise Unknown
    return float(thrown.std(ddof=1) / len(thrown) ** 0.5)


def _deviation(at: "Situation") -> float:
    return float(at.value("deviation"))


def _notices(at: "Situation", bias: float, n: int) -> float:
    if n < 2:
        raise Unknown
    return power(bias, _deviation(at), int(n), LIMIT)


def _alarm(at: "Situation", draws: int, limit: float, compare: str) -> Rate:
    if draws < 2:
        raise Unknown
    return false_alarm(thrown_settings(at.bench(Bench)), subject(at).truth, draws, limit, compare)


def _coverage(at: "Situation", throws: int) -> tuple[float, float]:
    """The share of error bars that contain the truth, and its standard error."""
    shares, errors = coverage(thrown_settings(at.bench(Bench)), subject(at).truth)
    place = THROWS_EACH.index(throws)
    return shares[place], errors[place]


LIMIT = 3.0
"""Of a test that lessons speak of, in standard errors."""

THROWS: dict[str, Observable] = {
    "throws": Observable("draws", _throws, "draws"),
    "mean": Observable(
        "the mean of the draws",
        _mean,
        "nats",
        error="mean_error",
        alarm=lambda at, limit, compare: _alarm(at, len(at.thrown), limit, compare),
        draws=_throws,
        deviation="deviation",
    ),
    "mean_error": Observable("the standard error of the mean", _mean_error, "nats"),
    "spread": Observable("the standard deviation of the first n draws", _spread, "nats", arguments=1),
    "furthest_throw": Observable("the largest distance of a draw from the truth", _furthest_throw, "nats"),
    "share": Observable("the share of draws with N = n", _share, arguments=1, draws=_throws),
    "law_gap": Observable(
        "the largest distance of a share of N from its law",
        _law_gap,
        "standard errors of independent draws",
        draws=_throws,
    ),
    "suspect_mean": Observable("the mean of the estimator under test, in closed form", _suspect_mean, "nats"),
    "bug_mean": Observable(
        "the mean with a bug of `FAULTY_ESTIMATORS`, in closed form", _bug_mean, "nats", arguments=1
    ),
    "false_alarm": Observable(
        "how often a mean of n draws is more than three standard errors off",
        lambda at, n: _alarm(at, int(n), LIMIT, "is").value,
        arguments=1,
    ),
    "notices": Observable(
        "how often a mean of n draws is more than three standard errors off, if the estimator is off by a bias",
        _notices,
        arguments=2,
    ),
    "own_coverage": Observable(
        "the share of your error bars that contain the truth", _own_coverage, arguments=1, draws=_throws
    ),
    "coverage": Observable(
        "the share of error bars that contain the truth", lambda at, n: _coverage(at, n)[0], arguments=1
    ),
    "coverage_error": Observable("the standard error of that share", lambda at, n: _coverage(at, n)[1], arguments=1),
    "coin_throws": Observable("draws by real coins", lambda at: len(_coins(at)), "draws"),
    "coin_mean": Observable(
        "the mean of the coins",
        _coin_mean,
        "nats",
        error="coin_error",
        alarm=lambda at, limit, compare: _alarm(at, len(_coins(at)), limit, compare),
        draws=lambda at: len(_coins(at)),
        deviation="deviation",
    ),
    "coin_error": Observable("its standard error", _coin_error, "nats"),
}
