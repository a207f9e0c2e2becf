"""Widgets from settings: what a slider offers, and what a page with all of them makes of a configuration."""

import pytest
from streamlit.testing.v1 import AppTest

from app import session
from app.setup import Setup, entries
from app.ui import controls
from resflow_core.log_det import LOG_DETS, Roulette
from resflow_core.roulette import LAWS, Custom
from resflow_core.settings import settings_of
from resflow_core.training.trainer import TrainConfig


@pytest.fixture(autouse=True)
def everything_is_offered(monkeypatch):
    """Widgets without a page around them."""
    monkeypatch.setattr(session, "offered", lambda *names: True)


def numbers_of(config):
    """The (field, limits, value) of each setting that is a number."""
    found = [(field, limits, getattr(config, name)) for name, (field, limits) in settings_of(config).items()]
    return [one for one in found if one[0].type in (int, float)]


@pytest.mark.parametrize(
    "config",
    [Setup().flow, Setup().train, *(cls() for cls in [*LOG_DETS.values(), *LAWS.values()])],
    ids=lambda config: type(config).__name__,
)
def test_a_slider_offers_few_ascending_values_that_span_the_limits(config):
    for field, limits, default in numbers_of(config):
        values = controls.rungs(field, limits)
        assert default in values and values == sorted(set(values))
        assert (values[0], values[-1]) == (limits.low, limits.high)
        assert all(type(v) is field.type for v in values)
        assert (len(values) >= 5 or len(values) == limits.high - limits.low + 1) and len(values) <= 51


def edited():
    """A page with all widgets of a training configuration: the usual ones, then the rare ones."""
    import streamlit as st

    from app.ui import controls
    from resflow_core.log_det import Roulette
    from resflow_core.roulette import Custom
    from resflow_core.training.trainer import TrainConfig

    usual = controls.edit(TrainConfig(Roulette(Custom((1.0, 0.5)))), rare=False)
    st.divider()
    st.session_state["now"] = controls.edit(usual, rare=True)


def test_every_setting_has_one_widget_and_untouched_they_change_nothing():
    page = AppTest.from_function(edited).run()
    config = TrainConfig(Roulette(Custom((1.0, 0.5))))
    assert not page.exception and page.session_state["now"] == config
    order = [element.key if element.type != "divider" else "|" for element in page.main]
    usual, rare = order[: order.index("|")], order[order.index("|") + 1 :]
    assert sorted(filter(None, usual + rare)) == sorted(key for key, _, _ in entries(config))
    assert {"learning_rate", "log_det.law.table"} <= set(usual) and {"clip", "log_det.n_probes"} <= set(rare)
    page.text_input(key="log_det.law.table").set_value("1, .9 0.2").run()
    assert page.session_state["now"].log_det.law.table == (1.0, 0.9, 0.2)
    for text in ("", "1, x", "0.5, 0.7"):  # kept until they can be used
        page.text_input(key="log_det.law.table").set_value(text).run()
        assert page.error and page.session_state["now"].log_det.law.table == (1.0, 0.5)
