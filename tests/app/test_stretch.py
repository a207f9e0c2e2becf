"""The Stretch screen without a browser: the numbers that it says, and how its settings follow."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from streamlit.testing.v1 import AppTest

from app.features.stretch import words
from app.features.stretch.examples import EXAMPLES
from app.features.stretch.settings import Stretch

pytestmark = pytest.mark.usefixtures("local_engine")
MAIN = Path(__file__).parents[2] / "app" / "page.py"
SMALL = {"blocks": "1", "width": "8", "batch": "16", "data": "moons", "device": "cpu"}
MINUS = "\N{MINUS SIGN}"
FORGOTTEN = r"Mass of $p_\text{base}(f(x))$"


def opened(**bench):
    page = AppTest.from_file(MAIN, default_timeout=60)
    for name, value in (SMALL | {f"stretch.{name}": value for name, value in bench.items()}).items():
        page.query_params[name] = value
    page.switch_page("features/stretch/stretch.py")
    return run(page)


def run(page_or_widget):
    page = page_or_widget.run()
    assert not page.exception, page.exception
    assert [header.value for header in page.header] == ["What does a map do to a density?"]
    assert not re.search(r"\b(nan|inf|None|undecided)\b", " ".join(said(page)))
    return page


def said(page):
    return [e.value for kind in (page.main.markdown, page.main.caption) for e in kind if "<style" not in e.value]


def sentence(page, begins):
    (found,) = [text for text in said(page) if text.startswith(begins)]
    return found


def metrics(page):
    return {metric.label: metric.value for metric in page.metric}


def number(text):
    return float(text.split()[0].replace(MINUS, "-"))


def panes(page):
    found = [json.loads(e.proto.json or "null") for e in page.main if e.type == "bidi_component"]
    return [pane for data in found if isinstance(data, dict) for pane in data.get("panes") or ()]


def bench(page):
    return page.session_state["page"].benches[Stretch]


def test_a_density_follows_the_area_and_has_a_mass_of_one():
    page = opened(matrix="0.5 0.0 0.0 0.8", point="1.0 -0.5", side="0.5")
    shown = metrics(page)
    law = multivariate_normal(np.zeros(2), np.diag([4, 1 / 0.64]))
    assert shown["z = f(x)"] == f"(0.5, {MINUS}0.4)"
    assert number(shown["p(x)"]) == pytest.approx(law.pdf([1, -0.5]), rel=5e-3)
    assert number(shown["|det J|"]) == 0.4
    assert number(shown["$p_\\text{base}(z)$"]) == pytest.approx(law.pdf([1, -0.5]) / 0.4, rel=5e-3)
    assert shown["Mass over x"] == "1.000"
    assert number(shown["‖z − x‖"]) == pytest.approx(np.hypot(0.5, 0.1), rel=5e-3)
    assert number(shown["‖J − I‖"]) == 0.5
    assert sentence(page, "**An area") == (
        "**An area of 0.25 around x becomes 0.1 around z: the density at x is 0.4 times the base's at z.**"
    )
    terms = re.search(r"\|\$ \$= (\S+) ([+-]) (\S+) = (\S+)\$ nats", sentence(page, "$f(x) = Wx$"))
    assert [len(term.partition(".")[2]) for term in terms.group(1, 3, 4)] == [3, 3, 3]
    base, change, total = float(terms[1]), float(terms[2] + terms[3]), float(terms[4])
    assert total == pytest.approx(law.logpdf([1, -0.5]), abs=5e-4) == pytest.approx(base + change, abs=1.1e-3)
    assert [pane["title"] for pane in panes(page)] == ["x: the density p(x)", "z = f(x): the density of z"]
    assert all(len(pane["alt"]) > 60 for pane in panes(page))

    page = run(page.toggle(key="stretch.forget").set_value(True))
    shown = metrics(page)
    assert shown[FORGOTTEN].startswith("2.500") and shown[FORGOTTEN].endswith("≠ 1")
    assert number(shown["$p(x)$, with $|\\det J|$"]) == pytest.approx(law.pdf([1, -0.5]), rel=5e-3)
    assert "\n\nAs it should be: $\\log p(x)" in sentence(page, "$f(x) = Wx$")
    assert "1/|det W| = 2.5 times the area" in sentence(page, "**Without the determinant the mass is 2.500")
    assert panes(page)[0]["title"] == "x: base density at f(x), determinant forgotten"

    page = run(page.button(key="stretch.example.mirror").click())
    assert bench(page).matrix == EXAMPLES["mirror"].settings["matrix"] and bench(page).forget
    assert page.text_input(key="stretch.matrix.0").value == "-1"
    assert metrics(page)[FORGOTTEN] == "1.000"
    assert sentence(page, "**Here nothing is lost")


def test_a_singular_matrix_is_refused_and_the_one_before_kept():
    page = opened()
    before = metrics(page)
    page = run(page.text_input(key="stretch.matrix.0").set_value("0"))
    assert "its determinant is 0" in page.error[0].value and "It stays at 2, 0, 0, 1." in page.error[0].value
    assert metrics(page) == before and bench(page) == Stretch()
    page = run(page.text_input(key="stretch.matrix.1").set_value("-1/2"))
    page = run(page.text_input(key="stretch.matrix.2").set_value("2"))
    assert not page.error and bench(page).matrix == (0.0, -0.5, 2.0, 1.0)


def test_a_residual_block_varies_from_place_to_place_and_keeps_w():
    page = opened(matrix="1.0 1.0 0.0 1.0", point="0.0 0.0", base="square")
    page = run(page.selectbox(key="stretch.map").set_value("residual"))
    assert number(metrics(page)["|det J|"]) == pytest.approx(1 - 0.81)
    assert abs(number(metrics(page)["Mass over x"]) - 1) < 0.02
    assert r"s = 0.9,\quad \omega = 1$" in sentence(page, "$f(x) = x + g(x)")
    assert ". A tiny one becomes 0.19 times as large: the density" in sentence(page, "**An area")
    page = run(page.text_input(key="stretch.point").set_value("3.1416, 0"))
    assert number(metrics(page)["|det J|"]) == pytest.approx(1.81)
    assert number(metrics(page)["p(x)"]) == 0
    assert "z lies outside of the unit square" in sentence(page, "**An area")
    assert page.query_params["stretch.map"] in ("residual", ["residual"])
    page = run(page.selectbox(key="stretch.map").set_value("linear"))
    assert bench(page).matrix == (1.0, 1.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("setting", "value", "remedy"),
    [
        ("matrix", "1 2 2 4", "its determinant is 0"),
        ("strength", "1.0", "use a value from 0.05 to 0.95."),
    ],
)
def test_a_link_beyond_the_limits_is_refused(setting, value, remedy):
    page = opened(**{setting: value})
    assert f"`stretch.{setting} = {value}`: {remedy}" in page.warning[0].value
    assert bench(page) == Stretch()


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (-2.33788, 0.693147, "-2.338 + 0.693 = -1.645"),
        (-2.68038, 1.17557, "-2.6804 + 1.1756 = -1.5048"),  # three decimals would leave 0.001 open
        (-2.7, -0.956, "-2.700 - 0.956 = -3.656"),
        (0.0, -1e-16, "0.000 + 0.000 = 0.000"),
    ],
)
def test_a_sum_comes_out_for_whoever_adds(one, other, said):
    assert words._sum(one, other) == said
