"""The Estimator screen without a browser, by hand and across settings: the values that it finds and draws against the
core's throws and closed forms, over the engine of this process."""

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from streamlit.testing.v1 import AppTest

from app.estimates import sample as samples
from app.estimates.sample import THROWS_EACH, coverage, drawn, thrown_settings
from app.estimates.settings import MOST_THROWS, Bench
from app.features.estimator import presets
from app.features.estimator.coins import CoinMean
from app.features.estimator.numbers import Density, ErrorBars, Noise, OneDraw, Reason, SampleMean, Series
from app.features.estimator.sweeps import PAPER, across_lambda, across_p, cost, exact_terms, subject_of
from app.features.estimator.table import Row, Term, headings
from app.features.estimator.verdicts import BatchErrors, InfinitePoints, Probes, Products, SharedN
from app.link import query_of, read_link
from app.numbers import number_text
from app.setup import Setup
from resflow_core.estimators.draws import draw_estimates
from resflow_core.roulette import Custom, Geometric, Poisson
from tests.app.pages import MINUS, copied_link, decode, finding, link, number, panes, said, table
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
MAIN = Path(__file__).parents[2] / "app" / "page.py"
SMALL = {"blocks": "2", "width": "16", "batch": "64"}
A = KNOWN_A.numpy()
STEEP = "0.9 0.3 0.1 -0.2"
BIAS = -0.000981  # of the series of A cut after 5 terms


def opened(controls=None, arrives=False, **bench):
    """The screen with settings of the bench by their names in links, "__" for ".", besides a small flow; as it is
    found by who `arrives` without settings, or with its defaults."""
    page = AppTest.from_file(MAIN, default_timeout=600)
    if not arrives:
        bench = {"seed": "0"} | bench
    fixed = {} if controls is None else {"controls": controls}
    beside = {name: bench.pop(name) for name in ("lesson", "step") if name in bench}
    for name, value in (
        SMALL | fixed | beside | {f"bench.{k.replace('__', '.')}": v for k, v in bench.items()}
    ).items():
        page.query_params[name] = value
    page.switch_page("features/estimator/estimator.py")
    return checked(page.run())


def checked(page):
    assert not page.exception, page.exception
    assert len(page.title) == 1
    assert not re.search(r"\bnan\b|\binf\b", " ".join(said(page)))
    for spec in charts(page):
        json.dumps(spec, allow_nan=False)
        assert len(spec["description"]) > 40
    return page


def press(page, key):
    return checked(page.button(key=key).click().run())


def charts(page):
    return [json.loads(e.proto.spec) for e in page.main if e.type == "vega_lite_chart"]


def rows(spec, mark):
    return [row for layer in spec["layer"] if layer["mark"]["type"] == mark for row in layer["data"]["values"]]


def lines(spec, name):
    """The values of the line with this number of exact terms; of the thick one, which has none, for None."""
    return [row["value"] for row in rows(spec, "line") if row.get("exact terms") == name]


def pane(page, title):
    """The chart whose title begins so."""
    (found,) = [one for one in panes(page) if one["title"].startswith(title)]
    return found


def path(chart, label):
    """The points of the path of this label, (n, 2)."""
    (found,) = [one for one in chart["paths"] if one["label"] == label]
    return decode(found["points"])


def picture(page):
    """The large picture of draws."""
    (found,) = [one for one in panes(page) if one["y"].startswith("mean of the estimates")]
    return found


def own_mean(page, seed=0):
    """The running mean of one's own draws; empty where nothing was drawn."""
    found = [one for one in picture(page)["paths"] if one["label"] == f"mean of your draws, seed {seed}"]
    return decode(found[0]["points"]) if found else np.empty((0, 2))


def bench_of(page):
    return page.session_state["page"].benches[Bench]


def sample(page):
    return page.session_state["page"].sample


def kinds(page):
    """The types of what the page has found."""
    return set(page.session_state["page"].findings)


def terms_text(page, kind):
    """The table of terms, with the fields of this type as its columns."""
    text, *_ = [m.value for m in page.markdown if m.value.startswith(f"| {' | '.join(headings(kind))} |\n")]
    return text


def terms_table(page, kind=Row):
    rows = (line.split("|")[1:-1] for line in terms_text(page, kind).splitlines()[2:])
    return [[cell.strip(" *").removeprefix(":gray[").removesuffix("]") for cell in row] for row in rows]


class TestByHand:
    def test_it_opens_with_the_first_throw_and_the_truth(self):
        page = opened(seed="3")
        first = draw_estimates(A, PAPER, "gaussian", 1, 3)
        drawn, series = finding(page, OneDraw), finding(page, Series)
        assert (drawn.number, drawn.n, drawn.v) == (1, first.n[0], tuple(first.probe[0]))
        assert drawn.estimate == drawn.sound == first.value[0]
        assert series.truth == pytest.approx(KNOWN_LOG_DET, abs=1e-9)
        assert (series.n_terms, series.bias) == (5, pytest.approx(BIAS, abs=5e-7))
        cells = terms_table(page)
        assert number(cells[first.n[0] - 1][6]) == pytest.approx(first.value[0], rel=1e-4)
        assert [number(row[2]) for row in cells] == [
            pytest.approx(np.trace(np.linalg.matrix_power(A, k)), rel=1e-4) for k in range(1, 9)
        ]

    def test_any_throw_can_be_looked_at(self):
        page = opened()
        page = checked(page.number_input(key="bench.throw").set_value(17).run())
        whole = draw_estimates(A, PAPER, "gaussian", 17, 0)
        drawn = finding(page, OneDraw)
        assert (drawn.number, drawn.n, drawn.estimate) == (17, whole.n[-1], whole.value[-1])

    def test_100_throws_are_100_of_the_cores(self):
        page = press(opened(seed="5"), "throw.100")
        thrown = draw_estimates(A, PAPER, "gaussian", 100, 5)
        np.testing.assert_array_equal(sample(page).values, thrown.value)
        found, exact = finding(page, SampleMean), stats.sem(thrown.value)
        assert (found.size, found.mean) == (100, pytest.approx(thrown.value.mean()))
        assert found.error == pytest.approx(exact)
        assert found.off == pytest.approx(abs(thrown.value.mean() - KNOWN_LOG_DET) / exact)
        assert found.deviation == pytest.approx(thrown.value.std(ddof=1))
        line = own_mean(page, 5)
        assert line[-1] == pytest.approx((100, thrown.value.mean()))
        assert len(line) < 100  # evenly on the axis
        (band,) = picture(page)["areas"]
        for edge, side in (("low", -1), ("high", 1)):  # two standard errors by the closed form, after 10,000 draws
            assert decode(band[edge])[-1] == pytest.approx((10_000, KNOWN_LOG_DET + side * 2 * 0.3917271732**0.5 / 100))
        latest, n, v, value = sample(page).last(3)[0]
        assert (latest, n, value) == (100, thrown.n[-1], thrown.value[-1])
        np.testing.assert_array_equal(v, thrown.probe[-1])
        found = finding(press(page, "throw.1"), SampleMean)
        assert found.size == 101
        assert found.mean == pytest.approx(draw_estimates(A, PAPER, "gaussian", 101, 5).value.mean())

    @pytest.mark.parametrize("beside", [{}, {"lesson": "roulette", "step": "many"}])
    def test_a_seed_that_arrives_together_with_the_press_is_drawn_with(self, beside):
        """They do where somebody types a seed and presses at once, and the server is busy."""
        page = opened(**beside)
        page.number_input(key="bench.seed").set_value(7)
        page = press(page, "throw.100")
        assert bench_of(page).seed == 7
        np.testing.assert_array_equal(sample(page).values, drawn(bench_of(page), 100, 0).value)

    @pytest.mark.parametrize(
        ("probe", "variance", "by_probe", "by_roulette"),
        [("gaussian", 0.3917271732, 0.392, 0.000199), ("rademacher", 0.0014856049, 0.00139, 9.29e-5)],
    )
    def test_the_closed_form_is_found(self, probe, variance, by_probe, by_roulette):
        found = finding(opened(probe=probe), Noise)
        assert found.deviation == pytest.approx(variance**0.5, rel=1e-7)
        assert (found.cost.probe, found.cost.roulette) == pytest.approx((by_probe, by_roulette), rel=4e-3)
        assert found.cost.terms == pytest.approx(4) and not found.cost.is_least

    @pytest.mark.parametrize(
        ("settings", "square", "ratio", "reason"),
        [({"matrix": STEEP}, 0.859, 0.5, Reason.ABOVE), ({"law": "poisson"}, 0.406**2, 0, Reason.SHORT_TAIL)],
    )
    def test_what_is_infinite_is_found_to_be_and_not_drawn(self, settings, square, ratio, reason):
        page = press(opened(**settings), "throw.100")
        found = finding(page, Noise)
        assert found.deviation == np.inf and found.tail.reason is reason
        assert (found.tail.radius**2, found.tail.ratio) == (pytest.approx(square, abs=5e-4), ratio)
        assert not picture(page)["areas"] and len(own_mean(page))
        assert [area["label"] for area in pane(page, "How far")["areas"]] == ["draws"]  # no band of a deviation
        assert finding(page, ErrorBars).is_infinite and not finding(page, ErrorBars).settles

    def test_what_is_undecided_is_found_to_be(self):
        found = finding(press(opened(matrix="0.5 -0.5 0.5 0.5"), "throw.100"), Noise)
        assert np.isnan(found.deviation) and found.tail.reason is Reason.LIMIT
        assert found.tail.radius**2 == pytest.approx(0.5) and found.tail.ratio == 0.5

    def test_error_bars_are_counted(self):
        for settings, bench in (
            ({"probe": "rademacher"}, Bench(matrix=tuple(A.ravel()), probe="rademacher")),
            ({"matrix": "-0.9 0 0 0.2"}, Bench(matrix=(-0.9, 0.0, 0.0, 0.2))),
        ):
            page = opened(**settings)
            shares, errors = coverage(thrown_settings(bench), float(np.linalg.slogdet(np.eye(2) + bench.array)[1]))
            found = finding(page, ErrorBars)
            assert (found.shares, found.errors) == (pytest.approx(shares), pytest.approx(errors))
            drawn = path(pane(page, "Can its error bar"), "contain it")
            np.testing.assert_allclose(drawn, np.stack([THROWS_EACH, 100 * np.array(shares)], 1), rtol=1e-6)
            assert found.are_too_short == (shares[-1] + 3 * errors[-1] < 0.95)
            assert found.settles != found.are_too_short
        assert shares[-1] < 0.9  # the second one's bars are too short

    def test_clear_forgets_the_throws_and_other_settings_begin_anew(self):
        page = press(opened(), "throw.1")
        assert SampleMean not in kinds(page) and len(own_mean(page)) == 1  # one has no standard error
        page = press(page, "throw.10000")
        assert own_mean(page)[-1][0] == 10_001
        page = press(page, "throw.clear")
        assert len(sample(page).values) == len(own_mean(page)) == 0
        page = press(page, "throw.100")
        np.testing.assert_array_equal(sample(page).values, draw_estimates(A, PAPER, "gaussian", 100, 0).value)
        page = checked(page.select_slider(key="bench.law.p").set_value(0.3).run())
        assert len(sample(page).values) == len(own_mean(page)) == 0
        page = press(page, "throw.100")
        expected = draw_estimates(A, Geometric(0.3, 3), "gaussian", 100, 0).value
        np.testing.assert_array_equal(sample(page).values, expected)

    def test_a_million_comes_in_parts_and_is_the_end(self, monkeypatch):
        monkeypatch.setattr(samples, "CHUNK", 300_000)
        page = press(opened(probe="rademacher"), "throw.1")
        page = checked(page.text_area(key="coins.results").set_value("3+ 4-").run())
        page = press(page, "throw.1000000")
        assert page.text_area(key="coins.results").value == "3+ 4-"
        values = sample(page).values
        np.testing.assert_array_equal(values, draw_estimates(A, PAPER, "rademacher", MOST_THROWS, 0).value)
        found = finding(page, SampleMean)
        assert (found.size, found.mean) == (1_000_000, pytest.approx(values.mean()))
        assert found.mean == pytest.approx(0.596, abs=1e-4)
        assert all(page.button(key=f"throw.{n}").disabled for n in (1, 100, 10_000, MOST_THROWS))
        assert not page.button(key="throw.clear").disabled
        assert press(page, "throw.clear").button(key="throw.100").disabled is False

    def test_a_matrix_is_typed_in_decimals_and_fractions(self):
        page = checked(opened().text_input(key="bench.matrix.1").set_value("-1/3").run())
        assert bench_of(page).matrix == (0.45, -1 / 3, -0.25, 0.2)
        truth = np.log(1.45 * 1.2 - 0.25 / 3)
        assert finding(page, Series).truth == pytest.approx(truth)
        assert page.query_params["bench.matrix"] == f"0.45 {-1 / 3!r} -0.25 0.2"

    WRONG = (
        (2, "abc", ("row 2, column 1", "`abc`", "0.45", "-1/4")),
        (1, "1/0", ("row 1, column 2", "`1/0`", "0.45", "-1/4")),
        (0, "1.3", ("1.227", "0.99", "smaller")),
        (3, "1000", ("-99", "99")),
    )

    def test_what_is_no_such_matrix_is_named_and_the_old_one_stays(self):
        page, kept = opened(), ("0.45", "0.3", "-0.25", "0.2")
        for place, text, named in self.WRONG:
            page = checked(page.text_input(key=f"bench.matrix.{place}").set_value(text).run())
            (error,) = [e.value for e in page.error]
            assert all(token in error for token in (*named, "(0.45, 0.3), (-0.25, 0.2)")), text
            assert bench_of(page).matrix == (0.45, 0.3, -0.25, 0.2)
            assert finding(page, Series).truth == pytest.approx(KNOWN_LOG_DET, abs=1e-9)
            page.text_input(key=f"bench.matrix.{place}").set_value(kept[place])
        page = checked(page.text_input(key="bench.matrix.3").set_value("0.1").run())
        assert not page.error and bench_of(page).matrix == (0.45, 0.3, -0.25, 0.1)

    def test_a_nilpotent_matrix_may_not_be_as_large_as_it_likes(self):
        page = opened(matrix="0 99 0 0", law__n_exact="0", law__p="0.95", probe="rademacher")
        # E exp(estimate) is about e^1980 / 2 at N = 1, which no float64 holds.
        assert 1900 <= finding(page, Density).log_factor < 2000
        page = checked(page.text_input(key="bench.matrix.1").set_value("100").run())
        assert "-99" in page.error[0].value and bench_of(page).matrix == (0, 99, 0, 0)

    def test_examples_fill_the_fields(self):
        page = press(opened(), "example.thirds")
        assert [page.text_input(key=f"bench.matrix.{i}").value for i in range(4)] == ["1/3", "1/6", "-1/6", "1/3"]
        assert bench_of(page).matrix == (1 / 3, 1 / 6, -1 / 6, 1 / 3)
        assert page.button(key="example.thirds").disabled and not page.button(key="example.sheet").disabled
        page = press(page, "example.steep")
        assert finding(page, Noise).deviation == np.inf

    def test_fractions_are_shown_where_they_are_asked_for(self):
        page = opened(matrix=f"{1 / 3!r} {1 / 6!r} {-1 / 6!r} {1 / 3!r}", probe="rademacher")
        assert terms_table(page)[1][2] == "0.16667"
        page = checked(page.toggle(key="bench.fractions").set_value(True).run())
        cells = terms_table(page)
        # A^k of ((2, 1), (-1, 2)) / 6, whose off-diagonal parts cancel in v'A^k v.
        assert [row[1] for row in cells[:4]] == ["1", f"{MINUS}1/2", "1/3", f"{MINUS}1/4"]
        assert [row[2] for row in cells[:4]] == ["2/3", "1/6", "1/54", f"{MINUS}7/648"]
        assert [row[2] for row in cells] == [row[3] for row in cells]
        assert [row[4] for row in cells[:5]] == ["1", "1", "1", "1/2", "1/4"]
        assert cells[3][5] == "7/1296"

    def test_the_program_that_is_shown_finds_the_same_mean(self):
        page = press(press(opened(probe="sphere", law="poisson", seed="4"), "throw.10000"), "throw.100")
        (program,) = [c.value for c in page.code if c.language == "python"]
        names, out = {}, io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(program, names)
        values = sample(page).values
        assert len(values) == 10_100
        np.testing.assert_allclose(names["estimates"], values, atol=1e-12)
        mean, truth = (float(re.search(rf"{name} (\S+)", out.getvalue())[1]) for name in ("mean", "truth"))
        assert mean == pytest.approx(values.mean()) and truth == pytest.approx(KNOWN_LOG_DET, abs=1e-9)

    def test_the_link_has_the_bench_once_it_is_changed(self):
        page = opened()
        assert Bench() in read_link(link(page)).benches
        page = checked(page.selectbox(key="bench.probe").set_value("sphere").run())
        assert Bench(probe="sphere") in read_link(link(page)).benches

    def test_the_link_to_copy_has_the_bench(self):
        page = opened(probe="sphere", n_terms="9")
        page.session_state["share.bench"] = True
        assert Bench(probe="sphere", n_terms=9) in read_link(copied_link(checked(page.run()))).benches

    def test_what_a_link_did_not_get_is_named(self):
        page = opened(matrix="2 0 0 2", n_terms="7")
        refused = page.warning[0].value
        assert all(token in refused for token in ("bench.matrix = 2 0 0 2", " 2.", "0.99"))
        assert bench_of(page) == Bench(n_terms=7)


class TestSeriesAlone:
    """Where a link leaves nothing to be set that throws depend on."""

    def opened(self, *offered, **bench):
        return opened(controls=" ".join(f"bench.{name}" for name in offered), **bench)

    @pytest.mark.parametrize("offered", [(), ("n_terms",), ("matrix", "fractions")])
    def test_it_has_no_throws_and_nothing_that_is_known_of_them(self, offered):
        page = self.opened(*offered)
        assert kinds(page) == {Series} and not charts(page) and not page.text_area
        assert not [button.key for button in page.button if button.key.startswith(("throw.", "coins."))]
        found = finding(page, Series)
        assert found.truth == pytest.approx(KNOWN_LOG_DET, abs=1e-9)
        assert (found.n_terms, found.bias) == (5, pytest.approx(BIAS, abs=5e-7))
        assert found.norm == pytest.approx(0.553, abs=5e-4) and found.is_bounded
        cells = terms_table(page, Term)
        assert len(cells) == 8 and all(len(row) == 6 for row in cells)
        assert number(cells[4][3]) == pytest.approx(KNOWN_LOG_DET + BIAS, abs=1e-5)
        assert ":gray[" not in terms_text(page, Term)

    def test_it_has_a_row_for_the_term_that_it_is_cut_after(self):
        page = self.opened("n_terms")
        page = checked(page.select_slider(key="bench.n_terms").set_value(20).run())
        text = terms_text(page, Term)
        assert len(text.splitlines()) == 22
        assert text.splitlines()[-1].count("**") == 2
        assert finding(page, Series).n_terms == 20 and "e-" not in text and "·10⁻" in text

    def test_a_matrix_that_is_typed_is_kept_and_may_have_no_bound(self):
        page = self.opened("matrix", "fractions")
        page = checked(page.text_input(key="bench.matrix.1").set_value("3").run())
        page = checked(page.text_input(key="bench.matrix.2").set_value("0").run())
        page = checked(page.toggle(key="bench.fractions").set_value(True).run())
        assert (bench_of(page).matrix, bench_of(page).fractions) == ((0.45, 3.0, 0.0, 0.2), True)
        found = finding(page, Series)
        assert found.truth == pytest.approx(np.log(1.45 * 1.2))
        assert not found.is_bounded and {row[5] for row in terms_table(page, Term)} == {"none"}

    @pytest.mark.parametrize("offered", ["throw", "law", "probe", "seed", "suspect", "law.p"])
    def test_with_anything_of_throws_they_are_there(self, offered):
        page = self.opened(offered)
        assert finding(page, OneDraw).number == 1
        assert "throw.100" in {button.key for button in page.button}


class TestCoins:
    def test_coins_need_a_fair_law_and_signs(self):
        page = opened()
        page = press(page, "coins.use")
        assert bench_of(page) == Bench(probe="rademacher")
        page = press(opened(law="poisson"), "coins.use")
        assert bench_of(page) == Bench(probe="rademacher")

    def test_what_a_class_has_thrown_adds_up(self):
        page = opened(probe="rademacher")
        text = "3+ 4- 3- 6+ 3+"
        page = checked(page.text_area(key="coins.results").set_value(text).run())
        n, signs = np.array([3, 4, 3, 6, 3]), [1, -1, -1, 1, 1]
        survival = [1, 1, 1, 1, 0.5, 0.25, 0.125]
        estimates = [
            sum(-((-1) ** k) / k / survival[k] * ([1, s] @ np.linalg.matrix_power(A, k) @ [1, s])
                for k in range(1, m + 1))
            for m, s in zip(n, signs, strict=True)
        ]  # fmt: skip
        found, error = finding(page, CoinMean), stats.sem(estimates)
        assert (found.size, found.mean) == (5, pytest.approx(np.mean(estimates)))
        assert found.error == pytest.approx(error) and not found.is_exact
        assert found.off == pytest.approx(abs(np.mean(estimates) - KNOWN_LOG_DET) / error)
        page = checked(page.text_area(key="coins.results").set_value("3+ 3+").run())
        assert finding(page, CoinMean).size == 2 and finding(page, CoinMean).is_exact
        page = checked(page.text_area(key="coins.results").set_value("3+ 2-").run())
        assert all(token in page.error[0].value for token in ("Draw 2", "`2-`", "3"))


class TestAcrossSettings:
    def variance_is_drawn(self, page):
        """The variance of the setting is found, and the parts of others are drawn."""
        spec, bench = charts(page)[0], bench_of(page)
        subject, found = subject_of(bench, None), finding(page, Noise)
        assert found.cost.total == cost(subject, bench.law, bench.probe, bench.n_probes).total
        assert found.tail.infinite_from == pytest.approx(0.835, abs=5e-4)
        assert found.tail.radius == pytest.approx(0.406, abs=5e-4)
        for n, costs in across_p(subject, bench).items():
            drawn = lines(spec, str(n))
            assert drawn == [pytest.approx(c.roulette) for c in costs if np.isfinite(c.roulette)]
        assert rows(spec, "rect")[0]["from"] == pytest.approx(1 - subject.radius**2)

    def test_it_finds_and_draws_the_closed_form_whatever_the_batch(self):
        page = opened(view="settings", batch="300")
        subject = subject_of(Bench(), None)
        values = {probe: cost(subject, PAPER, probe).total for probe in ("gaussian", "rademacher", "sphere")}
        total = values["gaussian"]
        self.variance_is_drawn(page)
        assert finding(page, Noise).cost.total == pytest.approx(0.3917271732, rel=1e-7)
        shares = finding(page, Probes).shares
        for probe in ("rademacher", "sphere"):
            assert shares[probe] == pytest.approx(values[probe] / total)
        assert round(finding(page, BatchErrors).crossing) == 1547
        assert finding(page, Products).paper.product == pytest.approx(4 * total)
        shared, errors = finding(page, SharedN), finding(page, BatchErrors)
        assert (shared.batch, shared.own) == (300, pytest.approx((total / 300) ** 0.5))
        assert (errors.batch, errors.n_terms, errors.roulette) == (300, 5, shared.own)

        cells = table(page, "| | bias")
        assert set(cells) == {"", *(preset.title for preset in presets.PRESETS.values())}
        assert list(map(number, cells[presets.PRESETS["paper"].title])) == [0, 0.626, 4, 1.57]
        assert cells[presets.PRESETS["image"].title] == ["0", "infinite", "4", "infinite"]

        points = rows(charts(page)[0], "point")  # which stand only where one estimate is one throw
        assert [row["p"] for row in points] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
        assert finding(page, Noise).tail.unsettled_from == pytest.approx(0.699, abs=5e-4)
        assert not any(box.key == "bench.entry" for box in page.selectbox)

        page.select_slider(key="bench.batch").set_value(4096)
        page = checked(page.selectbox(key="bench.quantity").set_value("neumann").run())
        assert finding(page, SharedN).batch == finding(page, BatchErrors).batch == 4096
        assert not rows(charts(page)[0], "point")
        page = checked(page.selectbox(key="bench.entry").set_value("22").run())  # of the gradient
        bench = Bench(view="settings", quantity="neumann", entry="22", batch=4096)
        assert bench_of(page) == bench
        assert finding(page, Noise).cost.total == pytest.approx(cost(subject_of(bench, None), PAPER, "gaussian").total)

    def test_a_poisson_law_is_drawn_against_lambda(self):
        page = opened(view="settings", law="poisson", matrix="0.4 -0.4 0.4 -0.4", law__n_exact="0")
        spec, bench = charts(page)[0], bench_of(page)
        drawn = lines(spec, "0")
        assert drawn == [pytest.approx(c.roulette) for c in across_lambda(subject_of(bench, None), bench)[0]]
        assert not rows(spec, "rect")

    @pytest.mark.parametrize(
        ("settings", "square", "ratio", "reason"),
        [({"matrix": STEEP}, 0.859, 0.5, Reason.ABOVE), ({"law": "poisson"}, 0.406**2, 0, Reason.SHORT_TAIL)],
    )
    def test_what_is_infinite_is_found_to_be(self, settings, square, ratio, reason):
        page = opened(view="settings", **settings)
        found, shared, errors, probes = (finding(page, kind) for kind in (Noise, SharedN, BatchErrors, Probes))
        assert found.cost.total == np.inf and found.tail.reason is shared.tail.reason is reason
        assert (found.tail.radius**2, found.tail.ratio) == (pytest.approx(square, abs=5e-4), ratio)
        assert shared.own == shared.shared == np.inf
        assert errors.winner == "truncated" and errors.roulette == errors.crossing == np.inf
        assert probes.gaussian == np.inf and probes.can_be_finite
        products = finding(page, Products)
        assert np.isinf(products.paper.product) == ("law" not in settings)
        if "law" in settings:
            spec = charts(page)[0]  # against lambda
            assert rows(spec, "rect")[0] == {"from": 0.0, "to": 10.0, "text": "infinite"}
            assert not any("exact terms" in row for row in rows(spec, "line"))  # nothing is finite
            assert products.tail.ratio == Poisson().tail_ratio == 0  # its cheapest is looked for among geometric ones
            assert any("**p" in text for text in said(page)) and pane(page, "Variance ×")["areas"]

    @pytest.mark.slow
    def test_a_preset_sets_the_bench_and_its_widgets(self):
        page = opened(view="settings", probe="rademacher", n_probes="4")
        self.variance_is_drawn(page)
        assert not rows(charts(page)[0], "point")  # one estimate is of four throws
        page = press(page, "bench_preset.i-resnet-10")
        assert bench_of(page) == Bench(view="settings", n_terms=10)
        assert page.select_slider(key="bench.n_probes").value == 1
        assert page.button(key="bench_preset.i-resnet-10").disabled
        assert not page.button(key="bench_preset.image").disabled
        assert page.select_slider(key="bench.n_terms").value == 10
        assert finding(page, BatchErrors).n_terms == 10
        page = press(page, "bench_preset.optimal")
        law = bench_of(page).law
        assert isinstance(law, Custom) and law.table[0] == 1
        assert page.selectbox(key="bench.law").value == "custom"
        best = cost(subject_of(Bench(), None), law, "gaussian").product
        assert finding(page, Products).best.product == pytest.approx(best, rel=1e-3)
        page = press(page, "bench_preset.paper")
        assert bench_of(page) == Bench(view="settings", n_terms=10)
        assert page.selectbox(key="bench.law").value == "geometric"

    @pytest.mark.slow
    def test_the_flow_in_training(self):
        page = opened(view="settings", subject="flow")
        assert Products not in kinds(page)  # there is no verdict on an untrained one
        assert any(button.key == "play" for button in page.button)
        page = press(page, "steps")
        assert finding(page, Products).paper.product > 0
        jacobians = page.session_state["page"].jacobians
        assert jacobians.step == 100
        exact = jacobians.points[:, :500].astype(float)
        radius = np.abs(np.linalg.eigvals(exact)).max()
        assert finding(page, Noise).tail.radius == pytest.approx(radius)
        share = (np.abs(np.linalg.eigvals(exact)).max((0, 2)) ** 2 > 0.5).mean()
        assert finding(page, InfinitePoints).share == pytest.approx(share)
        for quantity, points in (("log_det", 500), ("plain", 100)):
            if bench_of(page).quantity != quantity:
                page = checked(page.selectbox(key="bench.quantity").set_value(quantity).run())
            subject = subject_of(Bench(view="settings", subject="flow", quantity=quantity), jacobians)
            assert subject.jacobians.shape[1] == points
            assert finding(page, Noise).cost.total == pytest.approx(cost(subject, PAPER, "gaussian").total)
            assert any(f"{points} " in c.value and f"step {jacobians.step}" in c.value for c in page.caption)


def of_all_terms(page, n_exact):
    """Whether the thick line of the variance is that of so many exact terms."""
    bench = bench_of(page)
    costs = across_p(subject_of(bench, None), bench)[n_exact]
    return exact_terms(bench) == n_exact and lines(charts(page)[0], None) == [
        pytest.approx(c.total) for c in costs if np.isfinite(c.total)
    ]


# name: (settings, what is found across settings)
ODD = {
    "zero": ({"matrix": "0 0 0 0"}, lambda page: finding(page, Probes).gaussian == 0),
    "nilpotent": ({"matrix": "0.4 -0.4 0.4 -0.4"}, lambda page: finding(page, Noise).tail.reason is Reason.NILPOTENT),
    "nilpotent, Poisson": (
        {"matrix": "0.6 -0.9 0.4 -0.6", "law": "poisson"},
        lambda page: finding(page, Products).best is None and finding(page, Products).tail.reason is Reason.NILPOTENT,
    ),
    "no noise": (
        {"matrix": "0.3 0 0 -0.4", "probe": "rademacher"},
        lambda page: finding(page, Products).best is None and finding(page, Products).tail.reason is Reason.BELOW,
    ),
    "no noise in the gradient": (
        {"probe": "orthogonal", "n_probes": "2", "quantity": "plain"},
        lambda page: finding(page, Products).best is None and finding(page, Products).tail.reason is Reason.BELOW,
    ),
    "tiny": (
        {"matrix": "1e-7 0 0 0", "n_terms": "30"},
        lambda page: finding(page, BatchErrors).crossing == np.inf and finding(page, BatchErrors).roulette < 1,
    ),
    "long series": ({"n_terms": "30"}, lambda page: 1e9 <= finding(page, BatchErrors).crossing < np.inf),
    "no exact terms": ({"law.n_exact": "0"}, lambda page: of_all_terms(page, 0)),
    "at the limit": (
        {"matrix": "0.5 -0.5 0.5 0.5"},
        lambda page: np.isnan(finding(page, SharedN).shared) and finding(page, SharedN).tail.reason is Reason.LIMIT,
    ),
    "near the limit": ({"matrix": "0.70710 0 0 0.1"}, lambda page: finding(page, Noise).cost.is_least),
    "largest": ({"matrix": "0.99 1 0 0.99"}, lambda page: abs(finding(page, Noise).tail.radius - 0.99) < 1e-6),
    "near 1": ({"matrix": "0.96 0 0 0.1"}, lambda page: abs(finding(page, Noise).tail.radius - 0.96) < 1e-6),
    "custom": (
        {"law": "custom", "law.table": "0.5 0.2 1e-6"},
        lambda page: (
            finding(page, Noise).tail.reason is Reason.ABOVE
            and (finding(page, Noise).tail.radius ** 2, finding(page, Noise).tail.ratio)
            == (pytest.approx(0.165, abs=5e-4), pytest.approx(5e-6))
        ),
    ),
    "one term": ({"n_terms": "1", "quantity": "neumann"}, lambda page: finding(page, BatchErrors).n_terms == 1),
    "all at once": (
        {"law": "poisson", "law.n_exact": "20", "n_draws": "16", "n_probes": "16"},
        lambda page: bench_of(page).law.n_exact == 20 and lines(charts(page)[0], None) == [],
    ),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.slow
def test_odd_settings_are_shown_in_both_views(name):
    settings, is_found = ODD[name]
    settings = {key.replace(".", "__"): value for key, value in settings.items()}
    page = opened(view="settings", **settings)
    assert is_found(page)
    page = press(opened(**settings), "throw.100")
    assert finding(page, Noise).cost.is_least == (name == "near the limit")
    truth = np.linalg.slogdet(np.eye(2) + bench_of(page).array)[1]
    assert finding(page, Series).truth == pytest.approx(truth, abs=1e-9)
    assert len(sample(page).values) == 100
    assert f"{MINUS}0 " not in " ".join(said(page))
    assert not page.warning


def test_a_link_to_every_example_opens_what_it_says():
    bench = Bench(matrix=(1 / 3, 1 / 6, -1 / 6, 1 / 3), law=Custom((1.0, 0.5)), probe="sphere", seed=9)
    query = {
        name.removeprefix("bench."): v for name, v in query_of(Setup(), benches=[bench]).items() if "bench." in name
    }
    page = opened(**{name.replace(".", "__"): value for name, value in query.items()})
    assert bench_of(page) == bench
    assert [page.text_input(key=f"bench.matrix.{i}").value for i in range(4)] == list(map(number_text, bench.matrix))
    assert page.text_input(key="bench.law.table").value == "1.0, 0.5"
