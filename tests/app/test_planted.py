"""An estimator under test on the Estimator screen: all that is thrown is by it, and the page does not give it away."""

import contextlib
import io
import json
import re

import numpy as np
import pytest
from scipy import stats

from app.estimates import sample as samples
from app.estimates.sample import LEAST_EXPECTED, THROWS_EACH, Sample, coverage, furthest, repetitions, thrown_settings
from app.estimates.settings import SUSPECTS, Bench
from app.features.estimator import draw_figures as figures
from app.features.estimator.blind_test import LAST, Answer, answer
from app.features.estimator.numbers import ErrorBars, OneDraw
from resflow_core.estimators.faulty_estimators import BATCH, FAULTY_ESTIMATORS, draw_estimates
from resflow_core.estimators.moments import log_det_remainders
from resflow_core.roulette import Geometric
from tests.app.pages import finding, number, said
from tests.app.test_estimator import bench_of, charts, checked, opened, press, rows, sample, terms_table
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

pytestmark = pytest.mark.usefixtures("local_engine")
A = KNOWN_A.numpy()
LAW = Geometric(0.5, 3)
LABEL = {suspect.bug: label for label, suspect in SUSPECTS.items()}


def bench(bug, **changes):
    return Bench(**({"matrix": tuple(A.ravel().tolist()), "probe": "rademacher", "suspect": LABEL[bug]} | changes))


def test_every_bug_has_a_suspect_whose_name_says_nothing():
    assert sorted(s.bug for s in SUSPECTS.values()) == sorted(FAULTY_ESTIMATORS) and SUSPECTS["none"].bug == "none"
    assert all(re.fullmatch("Estimator [A-Z]", s.title) for label, s in SUSPECTS.items() if label != "none")
    assert Bench().is_sound and not bench("no_weights").is_sound


@pytest.mark.parametrize("bug", FAULTY_ESTIMATORS)
def test_a_sample_is_of_the_suspect(bug, monkeypatch):
    monkeypatch.setattr(samples, "CHUNK", 70)
    found = Sample(thrown_settings(bench(bug, seed=3)))
    found.want(150)
    while found.busy:
        found.go_on()
    whole = draw_estimates(bug, A, LAW, "rademacher", 150, 3)
    np.testing.assert_array_equal(found.values, whole.value)
    np.testing.assert_array_equal(found.counts, np.bincount(whole.n))
    assert found.one(100).value == whole.value[100]
    assert [(n, value) for _, n, _, value in found.last(2)] == [
        (n, value) for n, value in zip(whole.n[:-3:-1].tolist(), whole.value[:-3:-1].tolist(), strict=True)
    ]
    found.clear()
    assert (found.goal, len(found.values), len(found.counts)) == (0, 0, 0)


def test_the_share_that_is_furthest_is_so_in_standard_errors():
    """Of 1,000 throws that stop with chance 1/2: that of N = 0 is off by most throws, that of N = 4 by most errors, and
    that of N = 9 by most of its chance, but too few are expected of it."""
    counts = np.array([540, 240, 110, 55, 13, 18, 10, 6, 4, 4])
    chance = 0.5 ** np.arange(1, 11)
    errors = np.abs(counts / 1000 - chance) / np.sqrt(chance * (1 - chance) / 1000)
    found = furthest(Geometric(0.5, 0), counts)
    told = 1000 * chance >= LEAST_EXPECTED
    assert np.abs(counts / 1000 - chance).argmax() == 0 and errors[told].argmax() == 4 and not told[9]
    assert (found.n, found.share, found.chance) == (4, 0.013, 0.5**5)
    assert found.off == pytest.approx(errors[4])


def test_error_bars_of_each_suspect():
    # 5 binomial standard errors of the repetitions, and 0.05 for what 16 batches lack of a normal law. A mean that is
    # off by b standard errors is within 1.96 of the truth as often as a normal number with mean b.
    for bug, shift, scale in (("none", 0, 1), ("shared_n", 0, 2.217), ("no_weights", None, 1), ("surrogate", None, 1)):
        sample = draw_estimates(bug, A, LAW, "rademacher", 100_000, 9).value
        if shift is None:
            shift = (FAULTY_ESTIMATORS[bug].mean(A, LAW) - KNOWN_LOG_DET) / (sample.std() / THROWS_EACH[-1] ** 0.5)
        expected = stats.norm.cdf(1.96, shift, scale) - stats.norm.cdf(-1.96, shift, scale)
        shares, _ = coverage(thrown_settings(bench(bug)), KNOWN_LOG_DET)
        size = repetitions(bench(bug))[-1]
        allowed = 5 * (expected * (1 - expected) / size) ** 0.5 + 0.05 * (bug == "shared_n")
        assert abs(shares[-1] - expected) <= allowed + 1e-9, bug


def test_repetitions_of_a_shared_n_have_it_to_themselves():
    start, n = samples.FIRST_REPETITION, THROWS_EACH[0]
    assert start % BATCH == 0 and n < BATCH
    size = repetitions(bench("shared_n"))[0]
    sample = draw_estimates("shared_n", A, LAW, "rademacher", size * BATCH, 0, start).value.reshape(size, BATCH)
    held = np.abs(sample[:, :n].mean(1) - KNOWN_LOG_DET) <= 1.96 * stats.sem(sample[:, :n], 1)
    assert coverage(thrown_settings(bench("shared_n")), KNOWN_LOG_DET)[0][0] == held.mean()


def test_shares_of_n_are_drawn_beside_the_law():
    spec = figures.terms(np.array([0, 0, 0.7, 0.3]), np.array([0, 0.5, 0.25, 0.125]), "of N").to_dict()
    assert [(row["N"], row["share"]) for row in rows(spec, "bar")] == [(1, 0.0), (2, 0.7), (3, 0.3)]
    assert [(row["N"], row["chance"]) for row in rows(spec, "tick")] == [(1, 0.5), (2, 0.25), (3, 0.125)]
    json.dumps(spec, allow_nan=False)


@pytest.mark.parametrize(
    ("suspect", "named", "mean"),
    [
        ("shared_n", "shared_n", KNOWN_LOG_DET),
        ("shared_n", "no_weights", FAULTY_ESTIMATORS["no_weights"].mean(A, LAW)),
        ("no_weights", "shared_n", KNOWN_LOG_DET),
        ("no_weights", "no_weights", FAULTY_ESTIMATORS["no_weights"].mean(A, LAW)),
    ],
)
def test_an_answer_says_what_the_named_bug_does(suspect, named, mean):
    remainders = log_det_remainders(KNOWN_A[None], 200).pooled()
    truth = float(remainders.trace[0])
    found = answer(bench(suspect), named, remainders, truth)
    assert found.bug is FAULTY_ESTIMATORS[named] and found.is_right == (suspect == named)
    assert (found.mean, found.truth) == (pytest.approx(mean), truth)
    assert found.is_unbiased == (named == "shared_n")
    assert found.stretched == (pytest.approx(2.217, abs=5e-4) if suspect == named == "shared_n" else None)


def test_a_suspect_is_exposed_and_named():
    page = opened(suspect=LABEL["shared_n"], probe="rademacher")
    page = press(page, "throw.10000")
    assert FAULTY_ESTIMATORS["shared_n"].wrong not in " ".join(said(page)) and not page.success
    thrown = draw_estimates("shared_n", A, LAW, "rademacher", 10_000, 0)
    np.testing.assert_array_equal(sample(page).values, thrown.value)
    *_, of_n = charts(page)
    assert [row["share"] for row in rows(of_n, "bar")[:3]] == [pytest.approx((thrown.n == n).mean()) for n in (3, 4, 5)]
    assert [row["chance"] for row in rows(of_n, "tick")[:3]] == [0.5, 0.25, 0.125]
    assert [n for _, n, _, _ in sample(page).last(LAST)] == thrown.n[:-21:-1].tolist()
    shares, _ = coverage(thrown_settings(bench_of(page)), KNOWN_LOG_DET)
    assert shares[-1] < 0.75
    assert finding(page, ErrorBars).shares == pytest.approx(shares)

    radio = page.radio(key=f"named.{LABEL['shared_n']}")
    page = checked(radio.set_value("surrogate").run())
    no = finding(page, Answer)
    assert len(page.warning) == 1 and not page.success and not no.is_right
    assert (no.bug, no.mean) == (FAULTY_ESTIMATORS["surrogate"], FAULTY_ESTIMATORS["surrogate"].mean(A, LAW))
    page = checked(page.radio(key=f"named.{LABEL['shared_n']}").set_value("shared_n").run())
    yes = finding(page, Answer)
    assert len(page.success) == 1 and not page.warning and yes.is_right
    assert (yes.bug.batch, yes.is_unbiased, yes.stretched) == (64, True, pytest.approx(2.22, abs=5e-3))


def test_the_table_is_of_the_sound_estimator_and_the_throw_of_the_suspect():
    page = opened(probe="rademacher")
    assert page.selectbox(key="bench.suspect").value == "none" and not page.radio
    page = press(page, "throw.100")
    page = checked(page.selectbox(key="bench.suspect").set_value(LABEL["surrogate"]).run())
    assert page.query_params["bench.suspect"] in (LABEL["surrogate"], [LABEL["surrogate"]])
    assert len(sample(page).values) == 0  # those of the sound estimator are not the suspect's
    one, sound = (draw_estimates(bug, A, LAW, "rademacher", 1, 0) for bug in ("surrogate", "none"))
    found = finding(page, OneDraw)
    assert (found.number, found.n, found.estimate, found.sound) == (1, one.n[0], one.value[0], sound.value[0])
    assert number(terms_table(page)[one.n[0] - 1][6]) == pytest.approx(sound.value[0], rel=1e-4)
    assert finding(page, ErrorBars).shares[-1] == 0
    (program,) = [c.value for c in page.code if c.language == "python"]
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(program, names)
    np.testing.assert_allclose(names["estimates"][0], sound.value[0], atol=1e-12)  # the sound estimator's throws
