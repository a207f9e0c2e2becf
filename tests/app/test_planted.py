"""An estimator under test on the Estimator screen: all that is thrown is by it, and the page does not give it away."""

import json
import re

import numpy as np
import pytest
from scipy import stats

from app.estimates import sample as samples
from app.estimates.sample import REPETITIONS, THROWS_EACH, Sample, coverage, thrown_settings
from app.estimates.settings import SUSPECTS, Bench
from app.features.estimator import draw_figures as figures
from resflow_core.estimators.faulty_estimators import BATCH, FAULTY_ESTIMATORS, draw_estimates
from resflow_core.roulette import Geometric
from tests.app.test_estimator import (
    as_number,
    bench_of,
    chart,
    checked,
    opened,
    press,
    rows,
    said,
    sentence,
    terms_table,
)
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


def test_error_bars_of_each_suspect():
    # 5 binomial standard errors of 400 repetitions, and 0.05 for what 16 batches lack of a normal law. A mean that is
    # off by b standard errors is within 1.96 of the truth as often as a normal number with mean b.
    for bug, shift, scale in (("none", 0, 1), ("shared_n", 0, 2.217), ("no_weights", None, 1), ("surrogate", None, 1)):
        sample = draw_estimates(bug, A, LAW, "rademacher", 100_000, 9).value
        if shift is None:
            shift = (FAULTY_ESTIMATORS[bug].mean(A, LAW) - KNOWN_LOG_DET) / (sample.std() / THROWS_EACH[-1] ** 0.5)
        expected = stats.norm.cdf(1.96, shift, scale) - stats.norm.cdf(-1.96, shift, scale)
        shares, _ = coverage(thrown_settings(bench(bug)), KNOWN_LOG_DET)
        allowed = 5 * (expected * (1 - expected) / REPETITIONS) ** 0.5 + 0.05 * (bug == "shared_n")
        assert abs(shares[-1] - expected) <= allowed + 1e-9, bug


def test_repetitions_of_a_shared_n_have_it_to_themselves():
    start, n = samples.FIRST_REPETITION, THROWS_EACH[0]
    assert start % BATCH == 0 and n < BATCH
    sample = draw_estimates("shared_n", A, LAW, "rademacher", REPETITIONS * BATCH, 0, start).value.reshape(
        REPETITIONS, BATCH
    )
    held = np.abs(sample[:, :n].mean(1) - KNOWN_LOG_DET) <= 1.96 * stats.sem(sample[:, :n], 1)
    assert coverage(thrown_settings(bench("shared_n")), KNOWN_LOG_DET)[0][0] == held.mean()


def test_shares_of_n_are_drawn_beside_the_law():
    spec = figures.terms(np.array([0, 0, 0.7, 0.3]), np.array([0, 0.5, 0.25, 0.125]), "of N").to_dict()
    assert [(row["N"], row["share"]) for row in rows(spec, "bar")] == [(1, 0.0), (2, 0.7), (3, 0.3)]
    assert [(row["N"], row["chance"]) for row in rows(spec, "tick")] == [(1, 0.5), (2, 0.25), (3, 0.125)]
    json.dumps(spec, allow_nan=False)


def test_a_suspect_is_exposed_and_named():
    page = opened(suspect=LABEL["shared_n"], probe="rademacher")
    title = SUSPECTS[LABEL["shared_n"]].title
    page = press(page, "throw.10000")
    words = " ".join(said(page))
    assert f"**{title} is under test**: it claims to be unbiased." in words
    assert "share one N" not in words and not page.success
    thrown = draw_estimates("shared_n", A, LAW, "rademacher", 10_000, 0)
    np.testing.assert_array_equal(page.session_state["page"].sample.values, thrown.value)
    of_n = chart(page, "Share of the throws with each N")
    assert [row["share"] for row in rows(of_n, "bar")[:3]] == [pytest.approx((thrown.n == n).mean()) for n in (3, 4, 5)]
    assert [row["chance"] for row in rows(of_n, "tick")[:3]] == [0.5, 0.25, 0.125]
    latest = sentence(page, "The latest N first: ").removeprefix("The latest N first: ").rstrip(".")
    assert list(map(int, latest.split(", "))) == thrown.n[:-21:-1].tolist()
    shares, _ = coverage(thrown_settings(bench_of(page)), KNOWN_LOG_DET)
    assert shares[-1] < 0.75
    assert as_number(re.search(r"\*\*(\S+) ± \S+ %\*\* have", words)[1]) == pytest.approx(100 * shares[-1], abs=0.6)

    radio = page.radio(key=f"named.{LABEL['shared_n']}")
    page = checked(radio.set_value("surrogate").run())
    (no,) = [w.value for w in page.warning]
    assert no.startswith(f"No. With this bug the mean is **{FAULTY_ESTIMATORS['surrogate'].mean(A, LAW):.6g}**")
    page = checked(page.radio(key=f"named.{LABEL['shared_n']}").set_value("shared_n").run())
    (yes,) = [s.value for s in page.success]
    assert yes.startswith("Yes. 64 draws in a row share one N.") and "**2.22 times**" in yes
    assert not page.warning


def test_the_table_is_of_the_sound_estimator_and_the_throw_of_the_suspect():
    page = opened(probe="rademacher")
    assert page.selectbox(key="bench.suspect").value == "none"
    assert not any("under test" in text for text in said(page)) and not page.radio
    page = press(page, "throw.100")
    page = checked(page.selectbox(key="bench.suspect").set_value(LABEL["surrogate"]).run())
    assert page.query_params["bench.suspect"] in (LABEL["surrogate"], [LABEL["surrogate"]])
    assert "No throws yet." in said(page)  # those of the sound estimator are not the suspect's
    one, sound = (draw_estimates(bug, A, LAW, "rademacher", 1, 0) for bug in ("surrogate", "none"))
    text = sentence(page, "throw 1 drew")
    assert (
        f"**N\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{one.n[0]}**" in text
        and f"its estimate is **{one.value[0]:.4f}**" in text
    )
    assert f"makes **{sound.value[0]:.4f}** of the same N and v" in text
    assert as_number(terms_table(page)[one.n[0] - 1][6]) == pytest.approx(sound.value[0], rel=1e-4)
    assert "The sound estimator's throws, with NumPy alone" in " ".join(said(page))
    assert "**0 %** have the truth" in " ".join(said(page))
