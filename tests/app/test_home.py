"""The home page: it needs no run and no settings, and its picture is what the flow computes."""

import base64
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import engine, examples
from app.features.home import journey
from app.ui.lesson_list import Row
from resflow_core.api import flow_file
from tests.app.pages import keys, link

MAIN = Path(__file__).parents[2] / "app" / "page.py"
HOME, EXPLORE = "features/home/home.py", "features/explore/explore.py"


JOURNEY, PANES = "journey", "panes"  # the pictures of home and of Explore


def checked(page, picture):
    assert not page.exception, page.exception
    assert len(page.title) == 1
    assert {JOURNEY, PANES} & set(keys(page)) == {picture}
    return page


def test_the_bare_address_stays_bare_and_starts_nothing(monkeypatch):
    monkeypatch.setattr(engine, "get_engine", lambda: pytest.fail("nobody asked for a flow"))
    page = checked(AppTest.from_file(MAIN, default_timeout=60).run(), JOURNEY)
    assert not page.query_params
    assert not page.sidebar.children
    assert "page" not in page.session_state
    assert "arxiv.org/abs/1906.02735" in page.caption[0].value


def test_settings_in_the_bare_address_open_explore_and_wait_while_somebody_is_at_home(local_engine):
    page = AppTest.from_file(MAIN, default_timeout=60)
    for name, value in {"blocks": "2", "width": "16", "batch": "64", "data": "moons"}.items():
        page.query_params[name] = value
    checked(page.run(), PANES)
    before = page.session_state["page"]
    setup, run = before.setup, before.run
    assert (setup.data, setup.flow.blocks, setup.train.batch) == ("moons", 2, 64)
    address = link(page)

    page.session_state["coins.results"] = "HTT"  # a widget of the bench, which no setting holds
    before.heard = 0.0
    page.query_params.clear()
    checked(page.switch_page(HOME).run(), JOURNEY)
    assert not page.query_params
    assert page.session_state["page"].heard > 0  # the engine keeps the run
    checked(page.switch_page(EXPLORE).run(), PANES)
    assert page.session_state["page"].run == run
    assert page.session_state["page"].setup == setup
    assert link(page) == address
    assert page.session_state["coins.results"] == "HTT"


def test_the_picture_goes_from_a_normal_to_the_checkerboard_by_the_flow():
    points, lines = journey.positions()
    flow = flow_file.from_bytes(examples.flow())
    assert len(points) == len(lines) == flow.config.blocks + 2
    for ways in (points, lines):
        with torch.no_grad():
            z = flow(torch.from_numpy(ways[0].reshape(-1, 2))).numpy()
        np.testing.assert_allclose(ways[-1].reshape(-1, 2), z, atol=1e-4)

    z, n = points[-1], len(points[-1])
    assert (abs(z.mean(0)) < 4 / np.sqrt(n)).all()  # standard errors of a standard normal's mean and variance
    assert (abs(z.var(0) - 1) < 4 * np.sqrt(2 / n)).all()
    squares = np.floor(points[0] / 2).sum(1) % 2 == 0
    assert squares.mean() > 0.95  # half of them, if the points were not the flow's

    vertical, horizontal = np.split(lines[0], 2)
    assert np.ptp(vertical[..., 0], axis=1).max() == np.ptp(horizontal[..., 1], axis=1).max() == 0
    for ways in (vertical[..., 1], horizontal[..., 0]):
        assert (np.diff(ways) >= 0).all() and (ways[:, 0] == -4).all() and (ways[:, -1] == 4).all()
    assert np.linalg.norm(np.diff(lines, axis=2), axis=-1).max() < 0.1 * np.ptp(lines)  # 0.2 if evenly spaced at x


def test_the_scene_holds_the_positions_and_a_view_that_shows_them():
    scene, (points, lines) = journey.scene(), journey.positions()
    for name, wanted in (("points", points), ("lines", lines)):
        sent = np.frombuffer(base64.b64decode(scene[name]["base64"]), "<u2").reshape(scene[name]["shape"])
        decoded = (sent / 32767.5 - 1) * scene["most"]  # as in journey.js
        np.testing.assert_allclose(decoded, wanted, atol=1.01 * scene["most"] / 65535)
    away = abs(points - np.array(scene["centre"])[:, None]).max(-1)
    inside = away < np.array(scene["half"])[:, None]
    assert inside.mean(1).min() > 0.97
    assert (np.array(scene["half"]) < 1.2 * np.quantile(away, 0.995, axis=1)).all()  # and no more than it needs
    assert scene["blocks"] == len(points) - 2 == 24


def test_a_lesson_is_done_only_when_all_of_it_is():
    def row(done):
        return Row(1, "Flows", "Beginner", 10, done, "features/learn/learn.py")

    assert [row(done).percent for done in (0, 0.001, 0.4, 0.999, 1)] == [0, 1, 40, 99, 100]
    with pytest.raises(ValueError, match=r" 1 .* 1\.2: .* 0 to 1"):
        row(1.2)


def test_without_lessons_there_is_no_list():
    def nothing():
        from app.ui.lesson_list import lessons

        lessons([])

    page = AppTest.from_function(nothing).run()
    assert not page.exception
    assert not page.main.children
