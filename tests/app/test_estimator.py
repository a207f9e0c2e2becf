"""The Estimator screen without a browser, by hand and across settings: the numbers that it says and draws against the
core's throws and closed forms, over the engine of this process."""

import contextlib
import io
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pytest
from scipy import stats
from streamlit.testing.v1 import AppTest

from app.estimates import sample as samples
from app.estimates.sample import coverage, thrown_settings
from app.estimates.settings import MOST_THROWS, Bench
from app.features.estimator.sweeps import PAPER, across_lambda, across_p, cost, subject_of
from app.link import query_of, read_link
from app.numbers import number_text
from app.setup import Setup
from app.text import unbroken
from resflow_core.estimators.draws import draw_estimates
from resflow_core.roulette import Custom, Geometric, Poisson
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
MAIN = Path(__file__).parents[2] / "app" / "page.py"
SMALL = {"blocks": "2", "width": "16", "batch": "64"}
A = KNOWN_A.numpy()
MINUS = "\N{MINUS SIGN}"
STEEP = "0.9 0.3 0.1 -0.2"


def opened(controls=None, **bench):
    """The screen with settings of the bench by their names in links, "__" for ".", besides a small flow."""
    page = AppTest.from_file(MAIN, default_timeout=60)
    fixed = {} if controls is None else {"controls": controls}
    for name, value in (SMALL | fixed | {f"bench.{k.replace('__', '.')}": v for k, v in bench.items()}).items():
        page.query_params[name] = value
    page.switch_page("features/estimator/estimator.py")
    return checked(page.run())


def checked(page):
    assert not page.exception, page.exception
    assert [h.value for h in page.header] == ["What does an unbiased log-density cost?"]
    assert not re.search(r"\bnan\b|\binf\b", " ".join(said(page)))
    for spec in charts(page):
        json.dumps(spec, allow_nan=False)
        assert len(spec["description"]) > 40
    return page


def press(page, key):
    return checked(page.button(key=key).click().run())


def said(page):
    """Everything that is written on the page, without the style sheet."""
    kinds = (page.markdown, page.info, page.caption, page.error, page.warning)
    return [element.value for kind in kinds for element in kind if "<style" not in element.value]


def sentence(page, begins):
    """The one text with a sentence that begins like this, from there on."""
    (found,) = [text[text.index(begins) :] for text in said(page) if begins in text]
    return found


def charts(page):
    return [json.loads(e.proto.spec) for e in page.main if e.type == "vega_lite_chart"]


def chart(page, begins):
    (found,) = [spec for spec in charts(page) if spec["description"].startswith(begins)]
    return found


def rows(spec, mark):
    return [row for layer in spec["layer"] if layer["mark"]["type"] == mark for row in layer["data"]["values"]]


def bench_of(page):
    return page.session_state["page"].benches[Bench]


def terms_table(page):
    (text,) = [m.value for m in page.markdown if "P(N \\ge k)" in m.value]
    lines = text.splitlines()[2:]
    return [[cell.strip(" *").removeprefix(":gray[").removesuffix("]") for cell in li.split("|")[1:-1]] for li in lines]


def as_number(text):
    return float(text.replace(MINUS, "-"))


class TestByHand:
    def test_it_opens_with_the_first_throw_and_the_truth(self):
        page = opened(seed="3")
        first = draw_estimates(A, PAPER, "gaussian", 1, 3)
        text = sentence(page, "throw 1 drew")
        assert f"**{unbroken(f'N = {first.n[0]}')}**" in text
        assert f"its estimate is **{first.value[0]:.4f}**" in text
        assert f"log det(I + A) = **{KNOWN_LOG_DET:.6g}** nats" in text
        assert f"off by {MINUS}0.000981 nats, however many probes are averaged." in text
        table = terms_table(page)
        assert as_number(table[first.n[0] - 1][6]) == pytest.approx(first.value[0], rel=1e-4)
        assert [as_number(row[2]) for row in table] == [
            pytest.approx(np.trace(np.linalg.matrix_power(A, k)), rel=1e-4) for k in range(1, 9)
        ]

    def test_any_throw_can_be_looked_at(self):
        page = opened()
        page = checked(page.number_input(key="bench.throw").set_value(17).run())
        whole = draw_estimates(A, PAPER, "gaussian", 17, 0)
        assert f"**{unbroken(f'N = {whole.n[-1]}')}**" in sentence(page, "throw 17 drew")
        assert f"**{whole.value[-1]:.4f}**" in sentence(page, "throw 17 drew")

    def test_100_throws_are_100_of_the_cores(self):
        page = press(opened(seed="5"), "throw.100")
        thrown = draw_estimates(A, PAPER, "gaussian", 100, 5)
        np.testing.assert_array_equal(page.session_state["page"].sample.values, thrown.value)
        found = re.search(r"After 100 throws the mean is (\S+) ± (\S+) nats: (\S+) standard", " ".join(said(page)))
        mean, error, off = map(as_number, found.groups())
        exact = stats.sem(thrown.value)
        assert mean == pytest.approx(thrown.value.mean(), abs=0.5 * 10 ** -len(found[1].partition(".")[2]))
        assert error == pytest.approx(exact, rel=0.34)  # one digit of it
        assert off == pytest.approx(abs(thrown.value.mean() - KNOWN_LOG_DET) / exact, abs=0.06)
        line = rows(chart(page, "Running mean"), "line")
        assert line[-1]["n"] == 100 and line[-1]["mean"] == pytest.approx(thrown.value.mean())
        assert line[-1]["high"] - line[-1]["mean"] == pytest.approx(exact)
        assert f"these throws have {thrown.value.std(ddof=1):.4g}" in sentence(page, "In closed form")
        n, v, value = thrown.n[-1], thrown.probe[-1], thrown.value[-1]
        assert sentence(page, "Throw 100: N").startswith(
            f"Throw 100: N = {n}, v = ({v[0]:.3g}, {v[1]:.3g}), estimate {value:.3g} ".replace("-", MINUS)
        )
        assert as_number(sentence(press(page, "throw.1"), "After 101 throws").split()[6]) == pytest.approx(
            draw_estimates(A, PAPER, "gaussian", 101, 5).value.mean(), abs=0.01
        )

    @pytest.mark.parametrize(
        ("probe", "deviation", "shares"),
        [
            ("gaussian", "0.6259", "0.392 is the probe's and 0.000199 the roulette's"),
            ("rademacher", "0.03854", "0.00139 is the probe's and 9.29·10⁻⁵ the roulette's"),
        ],
    )
    def test_the_closed_form_is_said(self, probe, deviation, shares):
        # The variances are 0.3917271732 and 0.0014856049.
        page = opened(probe=probe)
        text = sentence(page, "In closed form")
        assert f"**{deviation} nats**" in text
        assert float(deviation) == pytest.approx({"gaussian": 0.3917271732, "rademacher": 0.0014856049}[probe] ** 0.5,
                                                 rel=2e-4)  # fmt: skip
        assert shares in text
        assert "On average 4 terms are computed." in text

    @pytest.mark.parametrize(
        ("settings", "why"),
        [
            ({"matrix": STEEP}, unbroken("ρ² = 0.859 > q = 0.5")),
            ({"law": "poisson"}, f"the tail of this law falls faster than any power of {unbroken('ρ = 0.406')}"),
        ],
    )
    def test_what_is_infinite_is_said_to_be_and_not_drawn(self, settings, why):
        page = press(opened(**settings), "throw.100")
        assert f"In closed form the deviation is **infinite**: {why}" in " ".join(said(page))
        layers = chart(page, "Histogram")["layer"]
        assert sum(layer["mark"]["type"] == "rect" for layer in layers) == 1  # no band of a deviation
        assert "The variance is infinite here" in sentence(page, "Of 400 repetitions")

    def test_what_is_undecided_is_said_to_be(self):
        page = press(opened(matrix="0.5 -0.5 0.5 0.5"), "throw.100")
        assert f"**undecided**: {unbroken('ρ² = q = 0.5')}" in sentence(page, "In closed form")

    def test_error_bars_are_counted(self):
        for settings, bench in (
            ({"probe": "rademacher"}, Bench(matrix=tuple(A.ravel()), probe="rademacher")),
            ({"matrix": "-0.9 0 0 0.2"}, Bench(matrix=(-0.9, 0.0, 0.0, 0.2))),
        ):
            page = opened(**settings)
            shares, errors = coverage(thrown_settings(bench), float(np.linalg.slogdet(np.eye(2) + bench.array)[1]))
            text = sentence(page, "Of 400 repetitions")
            assert as_number(re.search(r"\*\*(\S+) ±", text)[1]) == pytest.approx(100 * shares[-1], abs=0.5)
            assert [row["share"] for row in rows(chart(page, "Coverage"), "point")] == pytest.approx(shares)
            assert ("too many are too short" in text) == (shares[-1] + 3 * errors[-1] < 0.95)
        assert shares[-1] < 0.9  # the second one's bars are too short

    def test_clear_forgets_the_throws(self):
        page = press(opened(), "throw.1")
        assert "Throw a few" in " ".join(said(page))  # one has no error bar
        page = press(press(page, "throw.10000"), "throw.clear")
        assert len(page.session_state["page"].sample.values) == 0
        assert "No throws yet." in said(page)
        page = press(page, "throw.100")
        np.testing.assert_array_equal(
            page.session_state["page"].sample.values, draw_estimates(A, PAPER, "gaussian", 100, 0).value
        )

    def test_a_million_comes_in_parts_and_is_the_end(self, monkeypatch):
        monkeypatch.setattr(samples, "CHUNK", 300_000)
        page = press(opened(probe="rademacher"), "throw.1")
        page = checked(page.text_area(key="coins.results").set_value("3+ 4-").run())
        page = press(page, "throw.1000000")
        assert page.text_area(key="coins.results").value == "3+ 4-"
        values = page.session_state["page"].sample.values
        np.testing.assert_array_equal(values, draw_estimates(A, PAPER, "rademacher", MOST_THROWS, 0).value)
        assert "After 1,000,000 throws the mean is 0.5960" in " ".join(said(page))
        assert all(page.button(key=f"throw.{n}").disabled for n in (1, 100, 10_000, MOST_THROWS))
        assert not page.button(key="throw.clear").disabled
        assert press(page, "throw.clear").button(key="throw.100").disabled is False

    def test_other_settings_begin_anew(self):
        page = press(opened(), "throw.100")
        page = checked(page.select_slider(key="bench.law.p").set_value(0.3).run())
        assert "No throws yet." in said(page)
        page = press(page, "throw.100")
        expected = draw_estimates(A, Geometric(0.3, 3), "gaussian", 100, 0).value
        np.testing.assert_array_equal(page.session_state["page"].sample.values, expected)

    def test_a_matrix_is_typed_in_decimals_and_fractions(self):
        page = checked(opened().text_input(key="bench.matrix.1").set_value("-1/3").run())
        assert bench_of(page).matrix == (0.45, -1 / 3, -0.25, 0.2)
        truth = np.log(1.45 * 1.2 - 0.25 / 3)
        assert f"log det(I + A) = **{truth:.6g}** nats" in sentence(page, "throw 1 drew")
        assert page.query_params["bench.matrix"] == f"0.45 {-1 / 3!r} -0.25 0.2"

    @pytest.mark.parametrize(
        ("place", "text", "says"),
        [
            (2, "abc", "A, row 2, column 1: `abc`: type a number such as 0.45 or -1/4. It stays at "),
            (1, "1/0", "A, row 1, column 2: `1/0`: type a number"),
            (0, "1.3", "A, as a whole: its spectral radius is 1.227. The series of log det(I + A) converges only"),
            (3, "1000", "A, as a whole: use numbers from -99 to 99"),
        ],
    )
    def test_what_is_no_such_matrix_is_named_and_the_old_one_stays(self, place, text, says):
        page = checked(opened().text_input(key=f"bench.matrix.{place}").set_value(text).run())
        (error,) = [e.value for e in page.error]
        assert error.startswith(says)
        assert error.endswith("It stays at 0.45, 0.3, -0.25, 0.2.")
        assert bench_of(page).matrix == (0.45, 0.3, -0.25, 0.2)
        assert "**0.596085** nats" in sentence(page, "throw 1 drew")
        page = checked(page.text_input(key=f"bench.matrix.{place}").set_value("0.1").run())
        assert not page.error

    def test_a_nilpotent_matrix_may_not_be_as_large_as_it_likes(self):
        page = opened(matrix="0 99 0 0", law__n_exact="0", law__p="0.95", probe="rademacher")
        # E exp(estimate) is about e^1980 / 2 at N = 1, which no float64 holds.
        assert re.search(r"E exp\(estimate\) is \*\*e\^19\d\d(\.\d)?\*\* times det", " ".join(said(page)))
        page = checked(page.text_input(key="bench.matrix.1").set_value("100").run())
        assert "use numbers from -99 to 99" in page.error[0].value

    def test_examples_fill_the_fields(self):
        page = press(opened(), "example.thirds")
        assert [page.text_input(key=f"bench.matrix.{i}").value for i in range(4)] == ["1/3", "1/6", "-1/6", "1/3"]
        assert bench_of(page).matrix == (1 / 3, 1 / 6, -1 / 6, 1 / 3)
        assert page.button(key="example.thirds").disabled and not page.button(key="example.sheet").disabled
        page = press(page, "example.steep")
        assert "deviation is **infinite**" in sentence(page, "In closed form")

    def test_fractions_are_shown_where_they_are_asked_for(self):
        page = opened(matrix=f"{1 / 3!r} {1 / 6!r} {-1 / 6!r} {1 / 3!r}", probe="rademacher")
        assert terms_table(page)[1][2] == "0.16667"
        page = checked(page.toggle(key="bench.fractions").set_value(True).run())
        table = terms_table(page)
        # A^k of ((2, 1), (-1, 2)) / 6, whose off-diagonal parts cancel in v'A^k v.
        assert [row[1] for row in table[:4]] == ["1", f"{MINUS}1/2", "1/3", f"{MINUS}1/4"]
        assert [row[2] for row in table[:4]] == ["2/3", "1/6", "1/54", f"{MINUS}7/648"]
        assert [row[2] for row in table] == [row[3] for row in table]
        assert [row[4] for row in table[:5]] == ["1", "1", "1", "1/2", "1/4"]
        assert table[3][5] == "7/1296"

    def test_the_program_that_is_shown_finds_the_same_mean(self):
        page = press(press(opened(probe="sphere", law="poisson", seed="4"), "throw.10000"), "throw.100")
        (program,) = [c.value for c in page.code if c.language == "python"]
        found, out = {}, io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(program, found)
        values = page.session_state["page"].sample.values
        assert len(values) == 10_100
        np.testing.assert_allclose(found["estimates"], values, atol=1e-12)
        mean, truth = (float(re.search(rf"{name} (\S+)", out.getvalue())[1]) for name in ("mean", "truth"))
        assert mean == pytest.approx(values.mean()) and truth == pytest.approx(KNOWN_LOG_DET, abs=1e-9)

    def test_the_link_has_the_bench_once_it_is_changed(self):
        page = opened()
        assert not any(name.startswith("bench.") for name in page.query_params)
        page = checked(page.selectbox(key="bench.probe").set_value("sphere").run())
        query = {name: v if isinstance(v, str) else v[0] for name, v in page.query_params.items()}
        assert Bench(probe="sphere") in read_link(query).benches

    def test_the_link_to_copy_has_the_bench(self):
        page = opened(probe="sphere", n_terms="9")
        page.session_state["link"] = True
        page = checked(page.run())
        (share,) = [
            e.proto for e in page.main if e.type == "bidi_component" and e.proto.component_name == "resflow_share"
        ]
        query = dict(parse_qsl(json.loads(share.json)["query"], keep_blank_values=True))
        assert Bench(probe="sphere", n_terms=9) in read_link(query).benches

    def test_what_a_link_did_not_get_is_named(self):
        page = opened(matrix="2 0 0 2", n_terms="7")
        assert "`bench.matrix = 2 0 0 2`: its spectral radius is 2." in page.warning[0].value
        assert bench_of(page) == Bench(n_terms=7)


class TestSeriesAlone:
    """Where a link leaves nothing to be set that throws depend on."""

    def opened(self, *offered, **bench):
        return opened(controls=" ".join(f"bench.{name}" for name in offered), **bench)

    @pytest.mark.parametrize("offered", [(), ("n_terms",), ("matrix", "fractions")])
    def test_it_has_no_throws_and_nothing_that_is_known_of_them(self, offered):
        page = self.opened(*offered)
        told = " ".join(said(page))
        assert "##### The series, term by term" in told
        assert "The truth is log det(I + A) = **0.596085** nats." in told
        assert sentence(page, "Cut after 5 terms") == f"Cut after 5 terms, the series is off by {MINUS}0.000981 nats."
        for hidden in ("One throw", "drew", "deviation", "E exp", "coins", "weighted term", "P(N", ":gray["):
            assert hidden not in told
        assert not charts(page)
        assert not [button.key for button in page.button if button.key.startswith("throw.")]
        (text,) = [m.value for m in page.markdown if "sum so far" in m.value]
        cells = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
        assert len(cells) == 8 and all(len(row) == 6 for row in cells)
        assert as_number(cells[4][3]) == pytest.approx(KNOWN_LOG_DET - 0.000981, abs=1e-5)
        assert any(r"\lVert A \rVert_2 = 0.553" in caption for caption in said(page))

    def test_it_has_a_row_for_the_term_that_it_is_cut_after(self):
        page = self.opened("n_terms")
        page = checked(page.select_slider(key="bench.n_terms").set_value(20).run())
        (text,) = [m.value for m in page.markdown if "sum so far" in m.value]
        assert len(text.splitlines()) == 22
        assert text.splitlines()[-1].count("**") == 2
        assert "Cut after 20 terms" in " ".join(said(page)) and "e-" not in text and "·10⁻" in text

    def test_a_matrix_that_is_typed_is_kept_and_may_have_no_bound(self):
        page = self.opened("matrix", "fractions")
        page = checked(page.text_input(key="bench.matrix.1").set_value("3").run())
        page = checked(page.text_input(key="bench.matrix.2").set_value("0").run())
        page = checked(page.toggle(key="bench.fractions").set_value(True).run())
        assert (bench_of(page).matrix, bench_of(page).fractions) == ((0.45, 3.0, 0.0, 0.2), True)
        assert "there is none" in " ".join(said(page)) and "| none |" in " ".join(said(page))
        assert f"= **{np.log(1.45 * 1.2):.6g}**" in " ".join(said(page))

    @pytest.mark.parametrize("offered", ["throw", "law", "probe", "seed", "suspect", "law.p"])
    def test_with_anything_of_throws_they_are_there(self, offered):
        page = self.opened(offered)
        assert "throw 1 drew" in " ".join(said(page))
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
        found = re.search(r"mean of your 5 throws is \*\*(\S+) ± (\S+) nats: (\S+) standard", " ".join(said(page)))
        mean, error, off = map(float, found.groups())
        assert mean == pytest.approx(np.mean(estimates), abs=0.006)
        assert error == pytest.approx(stats.sem(estimates), rel=0.34)
        assert off == pytest.approx(abs(np.mean(estimates) - KNOWN_LOG_DET) / stats.sem(estimates), abs=0.06)
        page = checked(page.text_area(key="coins.results").set_value("3+ 3+").run())
        assert "nats, as is every throw**" in sentence(page, "The mean of your 2 throws")
        page = checked(page.text_area(key="coins.results").set_value("3+ 2-").run())
        assert page.error[0].value == "Throw 2, `2-`: N is at least 3, the exact terms."


class TestAcrossSettings:
    def test_the_variance_of_the_setting_is_said_and_drawn(self):
        for probe, variance in (("gaussian", "0.392"), ("rademacher", "0.00149")):
            page = opened(view="settings", probe=probe)
            text = sentence(page, "As it is set")
            assert f"the variance is **{variance} nats²**" in text
            assert "1 − ρ² = **0.835** (ρ = 0.406)" in text
        spec = chart(page, "Variance against p: the roulette's part")
        bench = Bench(probe="rademacher")
        subject = subject_of(bench, None)
        for n, costs in across_p(subject, bench).items():
            drawn = [row["value"] for row in rows(spec, "line") if row.get("exact terms") == str(n)]
            assert drawn == [pytest.approx(c.roulette) for c in costs if np.isfinite(c.roulette)]
        assert rows(spec, "rect")[0]["from"] == pytest.approx(1 - subject.radius**2)

    def test_a_poisson_law_is_drawn_against_lambda(self):
        page = opened(view="settings", law="poisson")
        spec = chart(page, "Variance against λ")
        assert rows(spec, "rect")[0] == {"from": 0.0, "to": 10.0, "text": "infinite"}
        assert not any("exact terms" in row for row in rows(spec, "line"))  # nothing is finite
        assert "##### Which λ are safe?" in said(page)
        page = opened(view="settings", law="poisson", matrix="0.4 -0.4 0.4 -0.4", law__n_exact="0")
        spec, bench = chart(page, "Variance against λ"), bench_of(page)
        drawn = [row["value"] for row in rows(spec, "line") if row.get("exact terms") == "0"]
        assert drawn == [pytest.approx(c.roulette) for c in across_lambda(subject_of(bench, None), bench)[0]]
        assert not rows(spec, "rect")

    def test_what_else_is_said_is_the_closed_form(self):
        page = opened(view="settings")
        subject = subject_of(Bench(), None)
        values = {probe: cost(subject, PAPER, probe).total for probe in ("gaussian", "rademacher", "sphere")}
        text = sentence(page, "Of the Gaussian's variance")
        for probe in ("rademacher", "sphere"):
            assert f"{probe.capitalize()} leaves **{100 * values[probe] / values['gaussian']:.3g} %**" in text
        assert "From a batch of about **1,547** on" in sentence(page, "Cut after 5 terms")
        assert f"N of its own for each point by **{(values['gaussian'] / 512) ** 0.5:.3g}**" in sentence(
            page, "In a batch of 512"
        )
        assert f"The paper's pays {4 * values['gaussian']:.3g}" in sentence(page, "The best law of all")

    def test_a_batch_of_any_size_is_looked_at_as_it_is(self):
        page = opened(view="settings", batch="300")
        total = cost(subject_of(Bench(), None), PAPER, "gaussian").total
        assert f"by **{(total / 300) ** 0.5:.3g}**" in sentence(page, "In a batch of 300")
        assert "At B = 300 its error is" in sentence(page, "Cut after 5 terms")
        page = checked(page.select_slider(key="bench.batch").set_value(4096).run())
        assert "In a batch of 4,096" in " ".join(said(page))

    @pytest.mark.parametrize(
        ("settings", "why"),
        [
            ({"matrix": STEEP}, unbroken("ρ² = 0.859 > q = 0.5")),
            ({"law": "poisson"}, "the tail of this law falls faster"),
        ],
    )
    def test_what_is_infinite_is_said_to_be(self, settings, why):
        page = opened(view="settings", **settings)
        assert f"the variance is **infinite**: {why}" in " ".join(said(page))
        assert sentence(page, "Both variances are infinite")
        assert "**the truncated series wins**. The roulette's never becomes" in sentence(page, "Cut after")
        assert "that is the roulette's, which no probe helps against" in " ".join(said(page))

    def test_a_preset_sets_the_bench_and_its_widgets(self):
        page = press(opened(view="settings", n_probes="4"), "bench_preset.image")
        assert bench_of(page) == Bench(view="settings", law=Poisson(2.0, 2))
        assert page.selectbox(key="bench.law").value == "poisson"
        assert page.select_slider(key="bench.n_probes").value == 1
        assert page.button(key="bench_preset.image").disabled
        page = press(page, "bench_preset.i-resnet-10")
        assert page.select_slider(key="bench.n_terms").value == 10
        assert sentence(page, "Cut after 10 terms")
        page = press(page, "bench_preset.optimal")
        law = bench_of(page).law
        assert isinstance(law, Custom) and law.table[0] == 1
        best = cost(subject_of(Bench(), None), law, "gaussian").product
        assert f"reaches **{best:.3g}** with" in sentence(page, "The best law of all")
        page = press(page, "bench_preset.paper")
        assert bench_of(page) == Bench(view="settings", n_terms=10)

    def test_the_table_is_there(self):
        (text,) = [m.value for m in opened(view="settings").markdown if "variance × terms |" in m.value]
        assert "| The paper: 2 + Geometric(0.5), Gaussian | 0 | 0.626 | 4 | 1.57 |" in text
        assert "| Released image code: 2 + Poisson(2) | 0 | infinite | 4 | infinite |" in text

    def test_gradients_by_an_entry(self):
        page = opened(view="settings")
        assert not any(box.key == "bench.entry" for box in page.selectbox)
        page = checked(page.selectbox(key="bench.quantity").set_value("neumann").run())
        page = checked(page.selectbox(key="bench.entry").set_value("22").run())
        bench = Bench(view="settings", quantity="neumann", entry="22")
        total = cost(subject_of(bench, None), PAPER, "gaussian").total
        assert f"the variance is **{total:.3g} nats²**" in sentence(page, "As it is set")
        assert "Dots are" not in " ".join(said(page))

    def test_dots_stand_only_where_one_estimate_is_one_throw(self):
        page = opened(view="settings")
        points = rows(chart(page, "Variance against p: the roulette's part"), "point")
        assert [row["p"] for row in points] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
        assert "Dots are 20,000 throws each. From p = 1 − ρ^(4/3) = 0.699 on there are none" in " ".join(said(page))
        page = checked(page.select_slider(key="bench.n_probes").set_value(2).run())
        assert "Dots are" not in " ".join(said(page))

    def test_the_flow_in_training(self):
        page = opened(view="settings", subject="flow")
        page = press(page, "steps")
        jacobians = page.session_state["page"].jacobians
        assert jacobians.step == 100
        exact = jacobians.points[:, :500].astype(float)
        radius = np.abs(np.linalg.eigvals(exact)).max()
        assert f"(ρ = {radius:.3f}, the largest there is)" in sentence(page, "As it is set")
        assert "Mean over 500 held-out points, step 100. Measured anew at each pause." in said(page)
        share = (np.abs(np.linalg.eigvals(exact)).max((0, 2)) ** 2 > 0.5).mean()
        assert f"**{100 * share:.3g} %** of the data points" in " ".join(said(page))
        bench = Bench(view="settings", subject="flow")
        total = cost(subject_of(bench, jacobians), PAPER, "gaussian").total
        assert f"the variance is **{total:.3g} nats²**" in sentence(page, "As it is set")
        page = checked(page.selectbox(key="bench.quantity").set_value("plain").run())
        assert "Mean over 100 held-out points, step 100. Measured anew at each pause." in said(page)


# name: (settings, what the page says of them in one of its sentences)
ODD = {
    "zero": ({"matrix": "0 0 0 0"}, "There is no noise here with any probe."),
    "nilpotent": ({"matrix": "0.4 -0.4 0.4 -0.4"}, "A is nilpotent: every law is safe, also a Poisson law."),
    "nilpotent, Poisson": (
        {"matrix": "0.6 -0.9 0.4 -0.6", "law": "poisson"},
        "A is nilpotent, so the series ends by itself: **cut it there, and leave the roulette out**.",
    ),
    "no noise": (
        {"matrix": "0.3 0 0 -0.4", "probe": "rademacher"},
        "The probes make no noise here: the more terms the better, and **the exact log det is best**.",
    ),
    "no noise in the gradient": (
        {"probe": "orthogonal", "n_probes": "2", "quantity": "plain"},
        "the more terms the better, and **the exact gradient is best**.",
    ),
    "tiny": ({"matrix": "1e-7 0 0 0", "n_terms": "30"}, "They never cross."),
    "long series": ({"n_terms": "30"}, "would being unbiased pay."),
    "no exact terms": ({"law.n_exact": "0"}, "Thick: the sum of both parts for 0 exact terms."),
    "at the limit": (
        {"matrix": "0.5 -0.5 0.5 0.5"},
        f"Both variances are undecided with this law: {unbroken('ρ² = q = 0.5')}",
    ),
    "near the limit": ({"matrix": "0.70710 0 0 0.1"}, "As it is set, the variance is **at least "),
    "largest": ({"matrix": "0.99 1 0 0.99"}, "(ρ = 0.990)"),
    "near 1": ({"matrix": "0.96 0 0 0.1"}, "(ρ = 0.960)"),
    "custom": ({"law": "custom", "law.table": "0.5 0.2 1e-6"}, f"**infinite**: {unbroken('ρ² = 0.165 > q = 5·10⁻⁶')}"),
    "one term": ({"n_terms": "1", "quantity": "neumann"}, "Cut after 1 term, the series"),
    "all at once": (
        {"law": "poisson", "law.n_exact": "20", "n_draws": "16", "n_probes": "16"},
        "sum of both parts for 20 exact terms.",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_settings_are_shown_in_both_views(name):
    settings, expected = ODD[name]
    settings = {key.replace(".", "__"): value for key, value in settings.items()}
    page = opened(view="settings", **settings)
    assert expected in " ".join(said(page))
    page = press(opened(**settings), "throw.100")
    assert ("deviation is **at least " in " ".join(said(page))) == (name == "near the limit")
    bench = bench_of(page)
    truth = np.linalg.slogdet(np.eye(2) + bench.array)[1]
    assert f"{truth:.6g}"[:6].replace("-", MINUS) in sentence(page, "throw 1 drew") or abs(truth) < 1e-6
    assert len(page.session_state["page"].sample.values) == 100
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
