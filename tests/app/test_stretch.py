"""The Stretch screen without a browser: the numbers that it finds, and how its settings follow."""

import re

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from streamlit.testing.v1 import AppTest

from app.features.stretch import words
from app.features.stretch.density import Followed
from app.features.stretch.examples import EXAMPLES
from app.features.stretch.settings import Stretch
from app.metrics import is_one
from resflow_core.measure import Mass
from resflow_core.settings import settings_of
from tests.app.pages import (
    MAIN,
    decode,
    finding,
    go,
    link,
    metrics,
    named,
    own,
    panes,
    press,
    run,
    said,
    sentence,
)

pytestmark = pytest.mark.usefixtures("local_engine")
SMALL = {"blocks": "1", "width": "8", "batch": "16", "data": "moons", "device": "cpu"}


def opened(**bench):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in (SMALL | {f"stretch.{name}": value for name, value in bench.items()}).items():
        page.query_params[name] = value
    return go(page, "features/stretch/stretch.py")


def bench(page):
    return own(page).benches[Stretch]


def found(page):
    return finding(page, Followed), finding(page, Mass)


def largest(pane):
    """Of the density that is drawn, to a level of its colours."""
    low, high = pane["heat"]["range"]
    return low + decode(pane["heat"]["level"]).max() / 254 * (high - low)


def test_a_density_follows_the_area_and_has_a_mass_of_one():
    page = opened(matrix="0.5 0.0 0.0 0.8", point="1.0 -0.5", side="0.5")
    point, mass = found(page)
    law = multivariate_normal(np.zeros(2), np.diag([4, 1 / 0.64]))
    assert point.z == pytest.approx([0.5, -0.4])
    assert point.density == pytest.approx(law.pdf([1, -0.5]))
    assert point.base_density == pytest.approx(law.pdf([1, -0.5]) / 0.4)
    assert mass.value == pytest.approx(1, abs=5e-4) and is_one(mass)
    assert point.move == pytest.approx(np.hypot(0.5, 0.1))
    assert point.slope == pytest.approx(0.5)
    assert (point.area, point.image_area, point.det) == pytest.approx((0.25, 0.1, 0.4))
    assert not point.keeps_areas and not point.turns_over and point.has_density
    assert point.log_base + point.log_det == pytest.approx(law.logpdf([1, -0.5]))
    over_x, without, over_z = panes(page)
    assert largest(over_x) == pytest.approx(law.pdf([0, 0]), rel=0.02)
    assert [largest(without), largest(over_z)] == pytest.approx([1 / (2 * np.pi)] * 2, rel=0.02)
    answer = sentence(page, "f makes areas")
    assert [float(text) for text in re.findall(r"\d+\.?\d*", answer.replace("*", ""))][:3] == [0.4, 0.4, 2.5]

    page = run(page.toggle(key="stretch.forget").set_value(True))
    point, mass = found(page)
    assert mass.value == pytest.approx(2.5, abs=5e-4) and not is_one(mass)
    assert point.density == pytest.approx(law.pdf([1, -0.5])) and 1 / point.factor == pytest.approx(2.5)
    assert [largest(pane) for pane in panes(page)] == pytest.approx([1 / (2 * np.pi)] * 2, rel=0.02)

    page = press(page, "stretch.example.mirror")
    assert bench(page).matrix == EXAMPLES["mirror"].settings["matrix"] and bench(page).forget
    assert page.text_input(key="stretch.matrix.0").value == "-1"
    point, mass = found(page)
    assert point.keeps_areas and point.turns_over
    assert mass.value == pytest.approx(1, abs=5e-4) and is_one(mass)


def test_a_singular_matrix_is_refused_and_the_one_before_kept():
    page = opened()
    before = metrics(page)
    page = run(page.text_input(key="stretch.matrix.0").set_value("0"))
    assert "determinant" in page.error[0].value and "(2, 0), (0, 1)" in page.error[0].value
    assert metrics(page) == before and bench(page) == Stretch()
    page = run(page.text_input(key="stretch.matrix.1").set_value("-1/2"))
    page = run(page.text_input(key="stretch.matrix.2").set_value("2"))
    assert not page.error and bench(page).matrix == (0.0, -0.5, 2.0, 1.0)


def test_a_field_beyond_its_limits_is_named_with_them_and_with_what_still_counts():
    page = opened()
    page = run(page.text_input(key="stretch.matrix.1").set_value("6"))
    (error,) = page.error
    assert "row 1, column 2" in error.value and "6" in error.value and "(2, 0), (0, 1)" in error.value
    limits = settings_of(Stretch)["matrix"][1]
    assert f"{limits.low:g} to {limits.high:g}" in error.value  # as they are typed
    assert bench(page) == Stretch()


def test_a_residual_block_varies_from_place_to_place_and_keeps_w():
    page = opened(matrix="1.0 1.0 0.0 1.0", point="0.0 0.0", base="square")
    page = run(page.selectbox(key="stretch.map").set_value("residual"))
    point, mass = found(page)
    assert point.det == pytest.approx(1 - 0.81) and not point.keeps_areas and not point.turns_over
    assert mass.value == pytest.approx(1, abs=0.02)
    assert (bench(page).strength, bench(page).frequency) == (0.9, 1.0)
    page = run(page.text_input(key="stretch.point").set_value("3.1416, 0"))
    point, _ = found(page)
    assert point.det == pytest.approx(1.81)
    assert point.density == 0 and not point.has_density
    assert link(page)["stretch.map"] == "residual"
    page = run(page.selectbox(key="stretch.map").set_value("linear"))
    assert bench(page).matrix == (1.0, 1.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("setting", "value", "remedy"),
    [
        ("matrix", "1 2 2 4", ["determinant", "0"]),
        ("strength", "1.0", ["0.05", "0.95"]),
    ],
)
def test_a_link_beyond_the_limits_is_refused(setting, value, remedy):
    page = opened(**{setting: value})
    _, _, why = page.warning[0].value.partition(f"`stretch.{setting} = {value}`: ")
    assert set(remedy) <= named(why)
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


def test_beside_a_lesson_the_answer_is_not_given():
    page = AppTest.from_file(MAIN, default_timeout=600)
    page.query_params["lesson"] = "change"
    page = go(page, "features/stretch/stretch.py")
    assert own(page).lesson and len(panes(page)) == 2
    assert not any("Without that factor" in text for text in said(page))
