"""The memory screen without a browser: what it says and draws against the core's own measurements."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app.memory import survey as module
from app.memory.settings import Memory
from app.memory.survey import Place, Survey, per_step, subject_of
from app.memory.words import size
from app.session.run import HEARD_SECONDS
from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS
from resflow_core.log_det import Truncated
from resflow_core.measure import NoLogDet, cost, footprint, subject
from resflow_core.settings import settings_of
from tests.app.test_activations import labels, path
from tests.app.test_lipschitz import MAIN, SMALL, link, own, panes, press, run, said, sentence, table

pytestmark = pytest.mark.usefixtures("local_engine")
SIZES = {"blocks": "3", "terms": "3", "width": "8", "batch": "8", "draws": "4"}
FLOW = FlowConfig(dim=2, blocks=3, width=8, activation="lipswish")
ONE_GO, PIECES = 1e9, 0.0
BY_TERMS, BY_BLOCKS, TIME, NOISE = range(4)
WITHOUT = "without a log det"
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"


@pytest.fixture(autouse=True)
def chunk(monkeypatch):
    """How many seconds are measured at a time: until all is measured, unless a test says otherwise."""
    monkeypatch.setattr(module, "CHUNK_SECONDS", ONE_GO)
    return lambda seconds: monkeypatch.setattr(module, "CHUNK_SECONDS", seconds)


def opened(settings=(), **bench):
    page = AppTest.from_file(MAIN, default_timeout=60)
    asked = {f"memory.{name}": value for name, value in (SIZES | bench).items()}
    for name, value in (SMALL | {"activation": "lipswish"} | dict(settings) | asked).items():
        page.query_params[name] = value
    page.switch_page("screens/memory.py")
    return run(page)


def bench(page):
    return own(page).benches[Memory]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@lru_cache
def measured(name, n, m, dim=2, drawn="peak", alone=True):
    """Bytes, from the core."""
    flow, x = subject(FlowConfig(dim=dim, blocks=m, width=8, activation="lipswish"), 8, seeded(0))
    found, base = (footprint(flow, x, way, seeded(1)) for way in (Truncated(n, gradient=name), NoLogDet()))
    return getattr(found, drawn) - (getattr(base, drawn) if alone else 0)


def in_bytes(text):
    value, unit = text.replace(",", "").split(NO_BREAK_SPACE)
    return float(value) * {"B": 1, "KiB": 2**10, "MiB": 2**20}[unit]


def drawn(pane, label):
    """Positions and bytes of a line."""
    x, y = path(pane, label).T
    return x.astype(int).tolist(), y * {"KiB": 2**10, "MiB": 2**20}[pane["y"]]


def test_bytes_are_drawn_as_the_core_measures_them():
    page = opened()
    assert [pane["x"] for pane in panes(page)] == ["terms n", "blocks m", "terms n", "terms n"]
    for name, way in GRADIENTS.items():
        n, by_terms = drawn(panes(page)[BY_TERMS], way.paper)
        assert n == [1, 2, 3]
        np.testing.assert_allclose(by_terms, [measured(name, k, 3) for k in n], rtol=1e-6)
        m, by_blocks = drawn(panes(page)[BY_BLOCKS], way.paper)
        assert m == [1, 2, 3]
        np.testing.assert_allclose(by_blocks, [measured(name, 3, k) for k in m], rtol=1e-6)
    assert labels(panes(page)[BY_TERMS]) == [way.paper for way in GRADIENTS.values()]
    worst = size(measured("plain", 3, 3))
    assert f"naive backpropagation {worst}" in panes(page)[BY_TERMS]["alt"] and "at m = 3" in panes(page)[0]["alt"]


def test_what_is_drawn_can_be_changed_and_is_in_the_link_and_measures_nothing_anew():
    page = opened()
    before = own(page).surveys.copy()
    page = run(page.selectbox(key="memory.drawn").set_value("kept"))
    page = run(page.selectbox(key="memory.part").set_value("whole"))
    page = run(page.toggle(key="memory.log").set_value(False))
    assert own(page).surveys == before and len(before) == 1
    asked = link(page)
    assert (asked["memory.drawn"], asked["memory.part"], asked["memory.log"]) == ("kept", "whole", "False")
    for name, way in GRADIENTS.items():
        _, by_blocks = drawn(panes(page)[BY_BLOCKS], way.paper)
        expected = [measured(name, 3, m, drawn="kept", alone=False) for m in (1, 2, 3)]
        np.testing.assert_allclose(by_blocks, expected, rtol=1e-6)
    flow, x = subject(FLOW, 8, seeded(0))
    base = footprint(flow, x, NoLogDet(), seeded(1)).kept
    np.testing.assert_allclose(drawn(panes(page)[BY_TERMS], WITHOUT)[1], [base] * 3, rtol=1e-6)
    assert not panes(page)[BY_TERMS]["log_y"]


def test_the_table_has_growth_bytes_time_and_noise():
    page = opened()
    rows = table(page, "| in the paper | as a setting")
    assert list(rows)[1:] == [way.paper for way in GRADIENTS.values()]
    for name, way in GRADIENTS.items():
        title, order, per_term, per_block, kept, peak, milliseconds, noise = rows[way.paper]
        assert (title, order) == (way.title, f"${way.memory}$")
        sizes = [1, 2, 3]
        by_term = np.polyfit(sizes, [measured(name, k, 3) for k in sizes], 1)[0]
        by_block = np.polyfit(sizes, [measured(name, 3, k) for k in sizes], 1)[0]
        assert in_bytes(per_term) == pytest.approx(by_term, rel=6e-3, abs=0.6)
        assert in_bytes(per_block) == pytest.approx(by_block, rel=6e-3, abs=0.6)
        assert in_bytes(kept) == pytest.approx(measured(name, 3, 3, drawn="kept"), rel=6e-3)
        assert in_bytes(peak) == pytest.approx(measured(name, 3, 3), rel=6e-3)
        assert float(milliseconds) > 0
        value, error = map(float, noise.split(" ± "))
        assert 0 < error < 3 * value
    # One gradient, in the forward pass or after it; the Neumann series has another.
    assert rows[GRADIENTS["plain"].paper][7] == rows[GRADIENTS["plain_in_forward"].paper][7]
    assert rows[GRADIENTS["neumann"].paper][7] == rows[GRADIENTS["in_forward"].paper][7]


def test_noise_and_time_are_those_of_the_same_draws():
    page = opened()
    flow, x = subject(FLOW, 8, seeded(0))
    survey = next(iter(own(page).surveys.values()))
    for name, way in GRADIENTS.items():
        n, shown = path(panes(page)[NOISE], way.paper).T
        for k, value in zip(n.tolist(), shown.tolist(), strict=True):
            *_, found = cost(flow, x, Truncated(int(k), gradient=name), seeded(1), 4)
            assert value == pytest.approx(found.variance.value, rel=1e-4)
        seconds = [survey.costs[Place(name, int(k), 3)].seconds for k in n]
        np.testing.assert_allclose(path(panes(page)[TIME], way.paper)[:, 1], np.multiply(1000, seconds), rtol=1e-5)
    assert len(path(panes(page)[TIME], WITHOUT)) == 3


def test_the_verdict_is_computed_from_what_was_measured():
    page = opened()
    naive, both = measured("plain", 3, 3), measured("in_forward", 3, 3)
    text = sentence(page, "**At n = 3 and 3 blocks")
    assert f"need at most {size(both)} for the log det alone, naive backpropagation {size(naive)}" in text
    assert f": {naive / both:.2g} times as much**. They take " in text and text.endswith("times as long.")
    page = run(page.selectbox(key="memory.drawn").set_value("kept"))
    naive, both = measured("plain", 3, 3, drawn="kept"), measured("in_forward", 3, 3, drawn="kept")
    assert f"both together keep {size(both)} for" in sentence(page, "**At n = 3")
    assert f": {naive / both:.2g} times as much" in sentence(page, "**At n = 3")


def test_in_64_dimensions_another_flow_is_measured_and_the_first_stays():
    page = run(opened().selectbox(key="memory.dim").set_value("64"))
    assert link(page)["memory.dim"] == "64"
    _, by_terms = drawn(panes(page)[BY_TERMS], "both")
    assert by_terms[-1] == pytest.approx(measured("in_forward", 3, 3, dim=64), rel=1e-6)
    before = list(own(page).surveys.values())
    page = run(page.selectbox(key="memory.dim").set_value("2"))
    assert set(map(id, own(page).surveys.values())) == set(map(id, before))  # nothing is measured again
    assert drawn(panes(page)[BY_TERMS], "both")[1][-1] == pytest.approx(measured("in_forward", 3, 3), rel=1e-6)


def test_the_flows_settings_are_the_pages_but_for_the_sizes():
    page = opened({"activation": "tanh", "budget": "0.5", "hidden_layers": "2"})
    (of,) = own(page).surveys
    assert of.flow == FlowConfig(dim=2, blocks=3, width=8, activation="tanh", budget=0.5, hidden_layers=2)
    page = run(page.sidebar.selectbox(key="activation").set_value("elu"))
    assert [of.flow.activation for of in own(page).surveys] == ["tanh", "elu"]


def test_it_stops_goes_on_and_begins_anew(chunk):
    chunk(PIECES)
    page = opened()
    survey = next(iter(own(page).surveys.values()))
    assert survey.done == 1 and any("Not measured yet." in text for text in said(page))
    assert len(panes(page)) == 2  # time and noise come when there is some
    assert [button.key for button in page.main.button if button.key.startswith("memory.")] == ["memory.stop"]
    page = press(page, "memory.stop")
    page = run(page)
    assert survey.done == 1 and not survey.busy
    page = press(page, "memory.go_on")
    assert survey.done == 2 and survey.busy
    chunk(ONE_GO)
    page = run(page)
    assert survey.complete and len(panes(page)) == 4
    again = press(page, "memory.again")
    (found,) = own(again).surveys.values()
    assert found is not survey and found.footprints == survey.footprints and found.complete


def test_it_is_there_when_another_screen_was_shown(chunk):
    page = opened()
    (survey,) = own(page).surveys.values()
    page = run(page.switch_page("screens/lipschitz.py"))
    chunk(PIECES)
    page.switch_page("screens/memory.py")
    page = run(page)
    assert list(own(page).surveys.values()) == [survey] and len(panes(page)) == 4
    assert link(page)["memory.terms"] == "3"


def test_what_would_take_too_long_is_refused_with_the_remedy():
    page = opened(dim="64", blocks="16", terms="20", width="256", batch="256")
    (warning,) = [element.value for element in page.main.warning]
    assert re.search(r"about [\d,]+ MiB for one pass; up to 256 MiB are measured here\. Lower terms, blocks", warning)
    assert not panes(page) and not own(page).surveys


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("dim", "3", "use one of 2, 64. It stays at 2."),
        ("blocks", "1", "use a value from 2 to 16. It stays at 8."),
        ("terms", "21", "use a value from 2 to 20. It stays at 10."),
        ("draws", "2", "use a value from 4 to 32. It stays at 8."),
        ("drawn", "all", "use one of peak, kept. It stays at peak."),
    ],
)
def test_a_link_beyond_the_limits_is_refused_with_the_remedy(setting, value, says, chunk):
    chunk(PIECES)
    page = opened(**{setting: value})
    text = page.warning[0].value
    assert f"`memory.{setting} = {value}`: " in text and text.endswith(says)
    assert getattr(bench(page), setting) == settings_of(Memory)[setting][0].default


def test_every_way_is_measured_with_the_same_pieces():
    survey = Survey(subject_of(Memory(blocks=2, terms=3, width=8, batch=8, draws=4), FlowConfig()))
    survey.go_on()
    assert survey.done == survey.total and not survey.busy
    sized = {(p.n, p.m) for p in survey.footprints if p.gradient}
    assert sized == {(1, 2), (2, 2), (3, 2), (3, 1)}
    for name in GRADIENTS:
        assert {(p.n, p.m) for p in survey.footprints if p.gradient == name} == sized
        assert {(p.n, p.m) for p in survey.costs if p.gradient == name} == {(1, 2), (2, 2), (3, 2)}


def test_sessions_that_measure_at_once_leave_torch_its_threads(chunk):
    def threads_elsewhere():
        with ThreadPoolExecutor(1) as fresh:
            return fresh.submit(torch.get_num_threads).result()

    chunk(PIECES)
    begun, before = threading.Event(), torch.get_num_threads()
    first, second = (Survey(subject_of(Memory(), FLOW)) for _ in range(2))

    def slow():
        begun.set()
        time.sleep(0.3)
        yield

    first._work = slow()
    try:
        torch.set_num_threads(before + 1)
        with ThreadPoolExecutor(2) as sessions:
            running = sessions.submit(first.go_on)
            assert begun.wait(10)
            sessions.submit(second.go_on).result()
            running.result()
        assert threads_elsewhere() == before + 1
    finally:
        torch.set_num_threads(before)


def test_slopes_are_by_least_squares_and_sizes_are_readable():
    assert per_step([1, 2, 4], [10.0, 13.0, 19.0]) == pytest.approx(3)
    assert np.isnan(per_step([1, 2], [1.0, np.nan])) and np.isnan(per_step([1], [1.0]))
    shown = [size(v).replace(NO_BREAK_SPACE, " ") for v in (-1e-12, 16, 1500, 2**20 * 3.5, np.nan)]
    assert shown == ["0 B", "16 B", "1.46 KiB", "3.5 MiB", "…"]


def test_the_engine_hears_of_the_pages_flow_while_only_costs_are_measured(local_engine, monkeypatch):
    """It would drop a run of which it has not heard for ten minutes, with all that was trained."""
    page = opened()
    heard, left, poll = [], [], local_engine.poll
    monkeypatch.setattr(local_engine, "poll", lambda id, demand: heard.append(id) or poll(id, demand))
    monkeypatch.setattr(local_engine, "leave", left.append)
    page = run(page)
    assert not heard
    own(page).heard -= HEARD_SECONDS + 1
    page = run(run(page))
    assert heard == left == [own(page).run]
