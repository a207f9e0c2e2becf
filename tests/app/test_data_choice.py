"""Somebody's own data on the page: what stays chosen, and what is said below the file."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import csv_file
from resflow_core.api import flow_file
from tests.app.pages import MAIN, named, own

pytestmark = pytest.mark.usefixtures("local_engine")
SMALL = {"blocks": "1", "width": "8", "batch": "16"}
ROWS = np.random.default_rng(0).normal(size=(40, 3))


def csv(names, *more):
    """Three columns of numbers with these names, if any, and others behind them."""
    rows = (",".join([*map(str, row), *(column[i] for column in more)]) for i, row in enumerate(ROWS))
    return "\n".join([*([names] if names else []), *rows]).encode()


def opened():
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in SMALL.items():
        page.query_params[name] = value
    return pick(run(page), "csv")


def run(page_or_widget):
    page = page_or_widget.run()
    assert not page.exception, page.exception
    return page


def pick(page, data):
    page.session_state["page"].picked = data
    return run(page)


def upload(page, name, data):
    return run(page.file_uploader(key="csv").set_value((name, data, "")))


def chosen(page):
    """The choice that is trained on, and what the widgets show."""
    choice = page.session_state["page"].setup.own.choice
    shown = tuple(page.selectbox(key=f"csv.{part}").value for part in ("x", "y"))
    assert shown == (choice.x, choice.y)
    return choice.name, choice.x, choice.y, choice.label


def run_id(page):
    return page.session_state["page"].run


def errors(page):
    return [error.value for error in page.error]


KINDS = tuple("ab" * 20)


@pytest.mark.thorough
def test_columns_stay_chosen_while_another_data_set_is_looked_at(local_engine, monkeypatch):
    page = upload(opened(), "points.csv", csv("a,b,c,kind", KINDS))
    for part, value in (("x", "c"), ("y", "a"), ("label", "kind")):
        page = run(page.selectbox(key=f"csv.{part}").set_value(value))
    page = run(pick(page, "moons"))
    began, create = [], local_engine.create
    monkeypatch.setattr(
        local_engine, "create", lambda experiment, *at: began.append(experiment) or create(experiment, *at)
    )
    page = run(pick(page, "csv"))
    assert chosen(page) == ("points.csv", "c", "a", "kind")
    assert [experiment.arms[0].data.names for experiment in began] == [("c", "a")]


@pytest.mark.thorough
def test_the_next_file_keeps_the_columns_that_it_has_and_both_axes_differ():
    page = upload(opened(), "first.csv", csv("a,b,c"))
    page = upload(page, "second.csv", csv("b,d,e"))
    assert not errors(page)
    assert chosen(page) == ("second.csv", "b", "d", "")
    page = upload(page, "third.csv", csv("e,d,b"))
    assert chosen(page) == ("third.csv", "b", "d", "")
    before = run_id(page)
    assert run_id(run(page)) == before


@pytest.mark.thorough
def test_the_vertical_axis_makes_way_for_the_horizontal_one():
    page = upload(opened(), "points.csv", csv("a,b,c"))
    page = run(page.selectbox(key="csv.x").set_value("b"))
    assert not errors(page)
    assert chosen(page) == ("points.csv", "b", "a", "")
    page = run(page.selectbox(key="csv.y").set_value("c"))
    assert chosen(run(page)) == ("points.csv", "b", "c", "")


def test_what_is_wrong_with_a_file_is_said_while_the_file_is_there():
    page = upload(opened(), "empty.csv", b"")
    (error,) = errors(page)
    assert {"empty.csv", "empty", "two"} <= named(error)
    assert errors(run(page))
    page = pick(page, "moons")
    assert not errors(page)
    page = pick(page, "csv")
    assert not errors(page)
    assert errors(upload(page, "empty.csv", b""))


def test_a_file_without_names_is_said_to_have_none():
    page = upload(opened(), "points.csv", csv("2019,2020,2021"))
    file = own(page).csv
    note = file.note
    assert (file.named, file.lines[0]) == (False, 1)
    assert note in [caption.value for caption in page.caption]
    page = upload(page, "points.csv", csv("a,b,c"))
    assert own(page).csv.named and not own(page).csv.note
    assert note not in [caption.value for caption in page.caption]


def test_a_widget_takes_what_its_reader_takes():
    page = opened()
    for key, most in (("csv", csv_file.MOST_BYTES), ("open_flow", flow_file.MOST_BYTES)):
        assert page.file_uploader(key=key).proto.max_upload_size_mb * 2**20 == most
