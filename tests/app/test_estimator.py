"""The Estimator screen without a browser, by hand and across settings: the values that it finds and draws against the
core's throws and closed forms, over the engine of this process."""

import re

import numpy as np
import pytest
from scipy import stats
from streamlit.testing.v1 import AppTest

from app import evidence
from app.estimates import sample as samples
from app.estimates.sample import coverage, thrown_settings
from app.estimates.settings import SUSPECTS, Bench
from app.features.estimator import presets, stored
from app.features.estimator.blind_test import Answer
from app.features.estimator.coins import CoinMean
from app.features.estimator.evidence import BY_HAND
from app.features.estimator.example import EXAMPLE
from app.features.estimator.numbers import Density, ErrorBars, Noise, OneDraw, Reason, SampleMean, Series
from app.features.estimator.sweeps import PAPER, across_p, cost, subject_of
from app.features.estimator.table import Row, Term, headings
from app.features.estimator.verdicts import BatchErrors, Probes, Products, SharedN
from resflow_core.estimators.draws import draw_estimates
from resflow_core.estimators.faulty_estimators import FAULTY_ESTIMATORS
from resflow_core.estimators.faulty_estimators import draw_estimates as faulty_draws
from resflow_core.roulette import Geometric
from tests.app.pages import MAIN, curves, decode, finding, number, own, panes, said, table
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

pytestmark = pytest.mark.usefixtures("local_engine")
SMALL = {"blocks": "2", "width": "16", "batch": "64"}
A = KNOWN_A.numpy()
BIAS = -0.000981  # of the series of A cut after 5 terms
LABEL = {suspect.bug: label for label, suspect in SUSPECTS.items()}
LARGE = (0.25 * np.random.default_rng(5).standard_normal((5, 5))).round(2)


def opened(controls=None, arrives=False, **bench):
    """The screen with settings of the bench by their names in links, "__" for ".", besides a small flow; as it is
    found by who `arrives` without settings, or with its defaults."""
    page = AppTest.from_file(MAIN, default_timeout=600)
    if not arrives:
        bench = {"seed": "0"} | bench
    beside = {name: bench.pop(name) for name in ("lesson", "step") if name in bench}
    beside |= {} if controls is None else {"controls": controls}
    asked = {f"bench.{name.replace('__', '.')}": value for name, value in bench.items()}
    for name, value in (SMALL | beside | asked).items():
        page.query_params[name] = value
    page.switch_page("features/estimator/estimator.py")
    return checked(page.run())


def checked(page):
    assert not page.exception, page.exception
    assert not re.search(r"\bnan\b|\binf\b", " ".join(said(page)))
    return page


def press(page, key):
    return checked(page.button(key=key).click().run())


def picture(page):
    """The large picture of draws."""
    (found,) = [one for one in panes(page) if one["y"].startswith("mean of the estimates")]
    return found


def own_mean(page, seed=0):
    """The running mean of one's own draws; empty where nothing was drawn."""
    found = [one for one in picture(page)["paths"] if one["label"] == f"mean of your draws, seed {seed}"]
    return decode(found[0]["points"]) if found else np.empty((0, 2))


def bench_of(page):
    return own(page).benches[Bench]


def sample(page):
    return own(page).sample


def terms_table(page, kind=Row):
    """The cells of the table of terms, with the fields of this type as its columns."""
    text, *_ = [m.value for m in page.markdown if m.value.startswith(f"| {' | '.join(headings(kind))} |\n")]
    rows = (line.split("|")[1:-1] for line in text.splitlines()[2:])
    return [[cell.strip(" *").removeprefix(":gray[").removesuffix("]") for cell in row] for row in rows]


def numbers_in(text):
    """Those that the text names, with its separators between thousands read."""
    return [number(found) for found in re.findall(r"[−-]?\d[\d,]*\.?\d*", text.replace("**", ""))]


def by_definition(a, n, v, survival):
    return sum(-((-1) ** k) / k / survival(k) * (v @ np.linalg.matrix_power(a, k) @ v) for k in range(1, n + 1))


class TestByHand:
    def test_any_draw_is_shown_beside_the_truth(self):
        page = opened(seed="3")
        page = checked(page.number_input(key="bench.throw").set_value(17).run())
        whole = draw_estimates(A, PAPER, "gaussian", 17, 3)
        found, series = finding(page, OneDraw), finding(page, Series)
        assert (found.number, found.n, found.v) == (17, whole.n[-1], tuple(whole.probe[-1]))
        assert found.estimate == found.sound == whole.value[-1]
        assert series.truth == pytest.approx(KNOWN_LOG_DET, abs=1e-9)
        assert (series.n_terms, series.bias) == (5, pytest.approx(BIAS, abs=5e-7))
        cells = terms_table(page)
        assert number(cells[found.n - 1][6]) == pytest.approx(found.estimate, rel=1e-4)
        traces = [np.trace(np.linalg.matrix_power(A, k)) for k in range(1, 9)]
        assert [number(row[2]) for row in cells] == [pytest.approx(trace, rel=1e-4) for trace in traces]

    def test_draws_are_the_cores_until_other_settings_begin_anew(self, monkeypatch):
        monkeypatch.setattr(samples, "CHUNK", 60)  # so that they come in parts
        page = press(opened(seed="5"), "throw.100")
        thrown = draw_estimates(A, PAPER, "gaussian", 101, 5)
        np.testing.assert_array_equal(sample(page).values, thrown.value[:100])
        found, exact = finding(page, SampleMean), stats.sem(thrown.value[:100])
        assert (found.size, found.mean) == (100, pytest.approx(thrown.value[:100].mean()))
        assert (found.error, found.off) == pytest.approx((exact, abs(found.mean - KNOWN_LOG_DET) / exact))
        means = {n: thrown.value[: int(n)].mean() for n in own_mean(page, 5)[:, 0]}
        assert own_mean(page, 5)[:, 1] == pytest.approx(list(means.values())) and max(means) == 100
        (band,) = picture(page)["areas"]
        for edge, side in (("low", -1), ("high", 1)):  # two standard errors by the closed form, after 10,000 draws
            assert decode(band[edge])[-1] == pytest.approx((10_000, KNOWN_LOG_DET + side * 2 * 0.3917271732**0.5 / 100))
        latest, n, v, value = sample(page).last(3)[0]
        assert (latest, n, value) == (100, thrown.n[99], thrown.value[99])
        np.testing.assert_array_equal(v, thrown.probe[99])
        assert finding(press(page, "throw.1"), SampleMean).mean == pytest.approx(thrown.value.mean())
        page = press(page, "throw.clear")
        assert len(sample(page).values) == len(own_mean(page, 5)) == 0
        page = press(page, "throw.100")
        page = checked(page.select_slider(key="bench.law.p").set_value(0.3).run())
        assert len(sample(page).values) == 0
        expected = draw_estimates(A, Geometric(0.3, 3), "gaussian", 100, 5).value
        np.testing.assert_array_equal(sample(press(page, "throw.100")).values, expected)

    def test_what_is_infinite_has_no_band(self):
        page = press(opened(matrix="0.9 0.3 0.1 -0.2"), "throw.100")
        assert finding(page, Noise).deviation == np.inf and finding(page, Noise).tail.reason is Reason.ABOVE
        assert not picture(page)["areas"] and len(own_mean(page))
        assert finding(page, ErrorBars).is_infinite and not finding(page, ErrorBars).settles

    def test_a_matrix_is_typed_and_what_is_none_leaves_the_old_one(self):
        page = checked(opened().text_input(key="bench.matrix.1").set_value("-1/3").run())
        assert bench_of(page).matrix == (0.45, -1 / 3, -0.25, 0.2)
        assert finding(page, Series).truth == pytest.approx(np.log(1.45 * 1.2 - 0.25 / 3))
        assert page.query_params["bench.matrix"] == f"0.45 {-1 / 3!r} -0.25 0.2"
        for place, text, kept in ((2, "abc", "-0.25"), (0, "1.3", "0.45")):
            page = checked(page.text_input(key=f"bench.matrix.{place}").set_value(text).run())
            assert len(page.error) == 1 and bench_of(page).matrix == (0.45, -1 / 3, -0.25, 0.2)
            page.text_input(key=f"bench.matrix.{place}").set_value(kept)
        assert not checked(page.run()).error

    def test_who_arrives_sees_the_stored_draws_of_the_example_until_there_are_own_ones(self):
        page = opened(arrives=True)
        assert stored.hand_sentence() in said(page) and bench_of(page) == EXAMPLE
        kept = evidence.stored(BY_HAND).found["means"]
        drawn_means = curves(picture(page))[2:]
        assert [line[-1, 1] for line in drawn_means] == pytest.approx([means[-1] for means in kept])
        page = press(page, "throw.10000")
        values = draw_estimates(EXAMPLE.array, EXAMPLE.law, "rademacher", 10_000, 0).value
        assert own_mean(page)[-1] == pytest.approx((10_000, values.mean())) and len(picture(page)["paths"]) == 3
        assert len(picture(press(page, "throw.clear"))["paths"]) == 5

    def test_without_anything_of_draws_there_is_the_series_alone(self):
        page = opened(controls="bench.n_terms")
        assert set(own(page).findings) == {Series} and not page.text_area
        cells = terms_table(page, Term)
        assert len(cells) == 8 and number(cells[4][3]) == pytest.approx(KNOWN_LOG_DET + BIAS, abs=1e-5)
        page = checked(page.select_slider(key="bench.n_terms").set_value(20).run())
        assert finding(page, Series).n_terms == len(terms_table(page, Term)) == 20

    def test_what_a_class_has_thrown_adds_up(self):
        page = press(opened(law="poisson"), "coins.use")
        assert bench_of(page) == Bench(probe="rademacher")
        page = checked(page.text_area(key="coins.results").set_value("3+ 4- 3- 6+ 3+").run())
        thrown = zip((3, 4, 3, 6, 3), (1, -1, -1, 1, 1), strict=True)
        estimates = [by_definition(A, n, np.array([1, s]), lambda k: 0.5 ** max(0, k - 3)) for n, s in thrown]
        found, error = finding(page, CoinMean), stats.sem(estimates)
        assert (found.size, found.mean, found.error) == (5, pytest.approx(np.mean(estimates)), pytest.approx(error))
        assert found.off == pytest.approx(abs(found.mean - KNOWN_LOG_DET) / error) and not found.is_exact
        page = checked(page.text_area(key="coins.results").set_value("3+ 3+").run())
        assert finding(page, CoinMean).size == 2 and finding(page, CoinMean).is_exact

    def test_a_larger_matrix_and_a_draw_of_ones_own(self):
        page = opened(matrix=" ".join(map(str, LARGE.flatten().tolist())))
        truth = np.linalg.slogdet(np.eye(5) + LARGE)[1]
        series = finding(page, Series)
        assert series.truth == pytest.approx(truth) and series.dim == 5
        terms = [-((-1) ** k) / k * np.trace(np.linalg.matrix_power(LARGE, k)) for k in range(1, 6)]
        assert series.bias == pytest.approx(sum(terms) - truth)
        assert finding(page, Density).log_factor is None
        page = checked(page.number_input(key="own.n").set_value(6).run())
        page = checked(page.text_input(key="own.v.5").set_value("2").run())
        (text,) = [text for text in said(page) if "this draw is off by" in text]
        estimate = by_definition(LARGE, 6, np.array([1.0, -1.0, 1.0, -1.0, 2.0]), lambda k: 0.5 ** max(0, k - 3))
        found, at, off = numbers_in(text)[-3:]
        assert (found, at) == (pytest.approx(estimate, abs=5e-5), pytest.approx(truth, abs=5e-5))
        assert off == pytest.approx(found - at, abs=1e-9)


def test_a_suspect_is_exposed_and_named():
    """All that is drawn is the suspect's; the table is that of the sound estimator."""
    label = LABEL["shared_n"]
    page = press(opened(suspect=label, probe="rademacher"), "throw.10000")
    thrown = faulty_draws("shared_n", A, PAPER, "rademacher", 10_000, 0)
    np.testing.assert_array_equal(sample(page).values, thrown.value)
    np.testing.assert_array_equal(sample(page).counts, np.bincount(thrown.n))
    one = finding(page, OneDraw)
    sound = by_definition(A, one.n, np.array(one.v), lambda k: 0.5 ** max(0, k - 3))
    assert (one.estimate, one.sound) == (thrown.value[0], pytest.approx(sound))
    assert number(terms_table(page)[one.n - 1][6]) == pytest.approx(one.sound, rel=1e-4)
    shares, _ = coverage(thrown_settings(bench_of(page)), KNOWN_LOG_DET)
    assert shares[-1] < 0.75 and finding(page, ErrorBars).shares == pytest.approx(shares)
    assert FAULTY_ESTIMATORS["shared_n"].wrong not in " ".join(said(page))

    page = checked(page.radio(key=f"named.{label}").set_value("surrogate").run())
    no = finding(page, Answer)
    assert (no.bug, no.mean) == (FAULTY_ESTIMATORS["surrogate"], FAULTY_ESTIMATORS["surrogate"].mean(A, PAPER))
    assert len(page.warning) == 1 and not page.success and not no.is_right
    page = checked(page.radio(key=f"named.{label}").set_value("shared_n").run())
    yes = finding(page, Answer)
    assert len(page.success) == 1 and not page.warning and yes.is_right
    assert (yes.is_unbiased, yes.stretched) == (True, pytest.approx(2.22, abs=5e-3))


@pytest.mark.thorough
def test_across_settings_it_finds_and_draws_the_closed_form():
    page = opened(view="settings", batch="300")
    subject = subject_of(Bench(), None)
    values = {probe: cost(subject, PAPER, probe).total for probe in ("gaussian", "rademacher", "sphere")}
    total = values["gaussian"]
    assert finding(page, Noise).cost.total == pytest.approx(0.3917271732, rel=1e-7)
    assert finding(page, Noise).tail.infinite_from == pytest.approx(0.835, abs=5e-4)
    shares = finding(page, Probes).shares
    for probe in ("rademacher", "sphere"):
        assert shares[probe] == pytest.approx(values[probe] / total)
    shared, errors = finding(page, SharedN), finding(page, BatchErrors)
    assert round(errors.crossing) == 1547 and finding(page, Products).paper.product == pytest.approx(4 * total)
    assert (shared.batch, shared.own) == (300, pytest.approx((total / 300) ** 0.5))
    assert (errors.batch, errors.n_terms, errors.roulette) == (300, 5, shared.own)

    cells = table(page, "| | bias")
    assert set(cells) == {"", *(preset.title for preset in presets.PRESETS.values())}
    assert list(map(number, cells[presets.PRESETS["paper"].title])) == [0, 0.626, 4, 1.57]
    assert cells[presets.PRESETS["image"].title] == ["0", "infinite", "4", "infinite"]

    (chart,) = [one for one in panes(page) if one["title"].startswith("Variance ×")]
    labels = {one["label"]: decode(one["points"]) for one in chart["paths"]}
    for n, costs in across_p(subject, bench_of(page)).items():
        line = labels[f"{n} exact term{'s' * (n != 1)}"][:, 1]
        assert line == pytest.approx([c.product if np.isfinite(c.product) else np.nan for c in costs], nan_ok=True)
    law, least = finding(page, Products).geometric
    (marked,) = [points for label, points in labels.items() if label.startswith("cheapest")]
    assert marked[0] == pytest.approx((law.p, least.product), rel=1e-5)
    assert np.nanmin(labels[""][:, 0]) == pytest.approx(1 - subject.radius**2, rel=1e-4)
    page = press(page, "across.best")
    assert bench_of(page).law == law and page.button(key="across.best").disabled
