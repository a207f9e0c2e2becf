import pytest
from streamlit.testing.v1 import AppTest

from app import session
from app.setup import Setup, entries
from app.ui import controls
from app.ui.presets import PRESETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import LOG_DETS, Roulette
from resflow_core.roulette import LAWS, Custom
from resflow_core.settings import settings_of
from resflow_core.training.trainer import TrainConfig
from tests.app.pages import named


@pytest.fixture(autouse=True)
def everything_is_offered(monkeypatch):
    """Widgets without a page around them."""
    monkeypatch.setattr(session, "offered", lambda *names: True)


CONFIGS = [Setup().flow, Setup().train, *(cls() for cls in [*LOG_DETS.values(), *LAWS.values()])]
NUMBERS = [
    pytest.param(field, limits, getattr(config, name), id=f"{type(config).__name__}.{name}")
    for config in CONFIGS
    for name, (field, limits) in settings_of(config).items()
    if field.type in (int, float)
]


@pytest.mark.parametrize(("field", "limits", "default"), NUMBERS)
def test_a_slider_offers_few_ascending_values_that_span_the_limits(field, limits, default):
    values, kind = controls.rungs(field, limits), field.type
    assert default in values
    assert values == sorted(set(values))
    assert (values[0], values[-1]) == (limits.low, limits.high)
    assert all(type(v) is kind for v in values)
    assert len(values) >= 5 or len(values) == limits.high - limits.low + 1
    assert len(values) <= 51


@pytest.mark.parametrize("preset", PRESETS)
def test_the_values_of_a_preset_are_on_the_sliders(preset):
    for config in (PRESETS[preset].flow, PRESETS[preset].train):
        for name, (field, limits) in settings_of(config).items():
            if field.type in (int, float):
                assert getattr(config, name) in controls.rungs(field, limits)


def edited():
    """A page with all widgets of a training configuration: the usual ones, then the rare ones."""
    import streamlit as st

    from app.ui import controls
    from resflow_core.log_det import Roulette
    from resflow_core.roulette import Custom
    from resflow_core.training.trainer import TrainConfig

    config = TrainConfig(Roulette(Custom((1.0, 0.5))))
    usual = controls.edit(config, rare=False)
    st.divider()
    st.session_state["now"] = controls.edit(usual, rare=True)


WIDGETS = ("selectbox", "select_slider", "number_input", "text_input", "toggle")


def test_every_setting_has_one_widget_and_untouched_they_change_nothing():
    page = AppTest.from_function(edited).run()
    assert not page.exception
    config = TrainConfig(Roulette(Custom((1.0, 0.5))))
    assert page.session_state["now"] == config
    keys = [widget.key for kind in WIDGETS for widget in page.get(kind)]
    assert sorted(keys) == sorted(key for key, _, _ in entries(config))


def test_rare_settings_come_after_the_usual_ones_those_of_variants_too():
    page = AppTest.from_function(edited).run()
    order = [element.key if element.type != "divider" else "|" for element in page.main]
    usual, rare = order[: order.index("|")], order[order.index("|") + 1 :]
    assert {"learning_rate", "log_det", "log_det.law", "log_det.law.table", "log_det.probe"} <= set(usual)
    assert {"clip", "schedule", "average", "log_det.n_probes", "log_det.gradient", "log_det.shared"} <= set(rare)


def test_numbers_in_a_row_are_typed_and_kept_until_they_can_be_used():
    page = AppTest.from_function(edited).run()
    assert page.text_input(key="log_det.law.table").value == "1.0, 0.5"
    page.text_input(key="log_det.law.table").set_value("1, .9 0.2").run()
    assert page.session_state["now"].log_det.law.table == (1.0, 0.9, 0.2)
    assert not page.error
    for text, what in (("", {"1e-06", "1"}), ("1, x", {"1e-06", "1"}), ("0.5, 0.7", {"increase"})):
        page.text_input(key="log_det.law.table").set_value(text).run()
        assert what | {"1.0", "0.5"} <= named(page.error[0].value)  # and what it stays at
        assert page.session_state["now"].log_det.law.table == (1.0, 0.5)


@pytest.mark.parametrize(
    ("config", "name", "key"),
    [
        (Setup(), "device", "cuda"),
        (Setup(), "data", "8gaussians"),
        (FlowConfig(), "activation", "elu"),
        (TrainConfig(), "log_det", "truncated"),
    ],
)
def test_choices_have_names_for_people(config, name, key):
    limits = settings_of(config)[name][1]
    assert limits.shown(key) == limits.choices[key].title != key


def test_a_choice_without_a_title_is_called_by_its_key():
    key = "inverse square root"
    assert settings_of(TrainConfig)["schedule"][1].shown(key) == key.capitalize()
