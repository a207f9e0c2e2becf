"""The view of what a gradient costs, without a browser: what it finds and draws against the core's own measurements."""

import re
import time
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app import engine
from app.engine.remote import RemoteEngine
from app.engine.reports import State
from app.features.dimensions.memory.numbers import Saving, per_step, saving
from app.features.dimensions.memory.settings import Memory
from app.features.dimensions.memory.words import size
from app.features.dimensions.settings import Dimensions
from app.session.comparisons import MOST_COMPARISONS
from app.session.memory import MOST_KEPT
from app.session.run import HEARD_SECONDS
from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS
from resflow_core.log_det import Truncated
from resflow_core.measure import NoLogDet, Place, Survey, SurveyPlan, cost, footprint, subject
from resflow_core.measure import memory as core
from resflow_core.measure import survey as surveys
from resflow_core.settings import settings_of
from tests.app.held_back import answers_at_the_first_step, steps_at_most
from tests.app.pages import MAIN, SMALL, finding, go, keys, link, named, own, panes, run, said, table
from tests.app.test_activations import labels, path
from tests.app.test_dimensions import places

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
SCREEN = "features/dimensions/dimensions.py"
SIZES = {"blocks": "2", "terms": "3", "width": "8", "batch": "8", "draws": "4"}
FLOW = FlowConfig(dim=2, blocks=2, width=8, activation="lipswish")
PIECES = 2 + 12 + 4 + 1 + 12  # places by m and by n, with and without a log det: of bytes, and of time
DEADLINE = 60.0
BY_TERMS, BY_BLOCKS, TIME, NOISE = range(4)
WITHOUT = "without a log det"
SAID, FAILED = "Something is said.", "No memory. Reset starts it anew."  # by the engine
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"


def opened(settings=(), **bench):
    page = AppTest.from_file(MAIN, default_timeout=600)
    asked = {f"memory.{name}": value for name, value in (SIZES | bench).items()} | {"dimensions.view": "memory"}
    for name, value in (SMALL | {"activation": "lipswish"} | dict(settings) | asked).items():
        page.query_params[name] = value
    page.switch_page(SCREEN)
    return run(page)


def press(page, key):
    """Press it, and wait for what it begins, however busy the machine is."""
    page = run(page.button(key=key).click())
    for _ in range(100):
        found = own(page).comparisons.get("memory")
        if not found or found.report.state not in (State.LOADING, State.STEPPING):
            break
        page = run(page)
    return page


def measured_page(settings=(), **bench):
    return press(opened(settings, **bench), "memory.measure")


def buttons(page):
    """Those that begin and end the measurement."""
    names = [button.key.removeprefix("memory.") for button in page.main.button if button.key.startswith("memory.")]
    return [name for name in names if name in ("measure", "stop", "go_on", "again")]


def survey_of(page):
    """What the page knows of the plan that was looked at last."""
    return list(own(page).surveys.values())[-1]


def bench(page):
    return own(page).benches[Memory]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@lru_cache
def bytes_of(name, n, m, dim):
    """From the core; without a log det where there is no name."""
    flow, x = subject(FlowConfig(dim=dim, blocks=m, width=8, activation="lipswish"), 8, seeded(0))
    return footprint(flow, x, Truncated(n, gradient=name) if name else NoLogDet(), seeded(1))


def measured(name, n, m, dim=2, drawn="peak", alone=True):
    base = getattr(bytes_of("", 0, m, dim), drawn) if alone else 0
    return getattr(bytes_of(name, n, m, dim), drawn) - base


def in_bytes(text):
    value, unit = text.replace(",", "").split(NO_BREAK_SPACE)
    return float(value) * {"B": 1, "KiB": 2**10, "MiB": 2**20}[unit]


def drawn(pane, label):
    """Positions and bytes of a line."""
    x, y = path(pane, label).T
    return x.astype(int).tolist(), y * {"KiB": 2**10, "MiB": 2**20}[pane["y"]]


def test_the_former_address_opens_the_view_with_the_settings_of_its_link():
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in (SMALL | {"memory.terms": "3", "memory.dim": "64"}).items():
        page.query_params[name] = value
    page._page_hash = calc_hash("memory")
    page = run(page)
    assert own(page).benches[Dimensions].view == "memory"
    assert (bench(page).terms, bench(page).dim, own(page).setup.seed) == (3, "64", int(SMALL["seed"]))
    page = go(page, SCREEN)  # AppTest knows nothing of where the script went
    asked = link(page)
    assert (asked["dimensions.view"], asked["memory.terms"], asked["memory.dim"]) == ("memory", "3", "64")
    assert buttons(page) == ["measure"] and not page.warning


def test_settings_stand_beside_this_view_alone():
    page = opened()
    assert page.sidebar.children
    page = run(page.button_group(key="dimensions.view").set_value("scaling"))
    assert not page.sidebar.children and "scaling.measure" in keys(page)
    page = run(page.button_group(key="dimensions.view").set_value("memory"))
    assert page.sidebar.children and buttons(page) == ["measure"]


@pytest.mark.slow
def test_bytes_are_drawn_as_the_core_measures_them():
    page = measured_page()
    assert len(panes(page)) == 4
    for name, way in GRADIENTS.items():
        n, by_terms = drawn(panes(page)[BY_TERMS], way.paper)
        assert n == [1, 2, 3]
        np.testing.assert_allclose(by_terms, [measured(name, k, 2) for k in n], rtol=1e-6)
        m, by_blocks = drawn(panes(page)[BY_BLOCKS], way.paper)
        assert m == [1, 2]
        np.testing.assert_allclose(by_blocks, [measured(name, 3, k) for k in m], rtol=1e-6)
    assert labels(panes(page)[BY_TERMS]) == [way.paper for way in GRADIENTS.values()]


@pytest.mark.slow
def test_what_is_drawn_can_be_changed_and_is_in_the_link_and_measures_nothing_anew():
    page = measured_page()
    before = own(page).surveys.copy()
    page = run(page.selectbox(key="memory.drawn").set_value("kept"))
    page = run(page.selectbox(key="memory.part").set_value("whole"))
    page = run(page.toggle(key="memory.log").set_value(False))
    assert own(page).surveys == before and len(before) == 1
    asked = link(page)
    assert (asked["memory.drawn"], asked["memory.part"], asked["memory.log"]) == ("kept", "whole", "False")
    for name, way in GRADIENTS.items():
        _, by_blocks = drawn(panes(page)[BY_BLOCKS], way.paper)
        expected = [measured(name, 3, m, drawn="kept", alone=False) for m in (1, 2)]
        np.testing.assert_allclose(by_blocks, expected, rtol=1e-6)
    flow, x = subject(FLOW, 8, seeded(0))
    base = footprint(flow, x, NoLogDet(), seeded(1)).kept
    np.testing.assert_allclose(drawn(panes(page)[BY_TERMS], WITHOUT)[1], [base] * 3, rtol=1e-6)
    assert not panes(page)[BY_TERMS]["log_y"]


def test_the_table_has_growth_bytes_time_and_noise_and_the_verdict_is_computed_from_them():
    page = measured_page()
    rows = table(page, "| name in the paper |")
    assert list(rows)[1:] == [way.paper for way in GRADIENTS.values()]
    for name, way in GRADIENTS.items():
        title, order, per_term, per_block, kept, peak, milliseconds, noise = rows[way.paper]
        assert (title, order) == (way.title, f"${way.memory}$")
        terms, blocks = [1, 2, 3], [1, 2]
        by_term = np.polyfit(terms, [measured(name, k, 2) for k in terms], 1)[0]
        by_block = np.polyfit(blocks, [measured(name, 3, k) for k in blocks], 1)[0]
        assert in_bytes(per_term) == pytest.approx(by_term, rel=6e-3, abs=0.6)
        assert in_bytes(per_block) == pytest.approx(by_block, rel=6e-3, abs=0.6)
        assert in_bytes(kept) == pytest.approx(measured(name, 3, 2, drawn="kept"), rel=6e-3)
        assert in_bytes(peak) == pytest.approx(measured(name, 3, 2), rel=6e-3)
        assert float(milliseconds) > 0
        value, error = map(float, noise.split(" ± "))
        assert 0 < error < 3 * value
    # One gradient, in the forward pass or after it; the Neumann series has another.
    assert rows[GRADIENTS["plain"].paper][7] == rows[GRADIENTS["plain_in_forward"].paper][7]
    assert rows[GRADIENTS["neumann"].paper][7] == rows[GRADIENTS["in_forward"].paper][7]
    the_verdict_is_computed_from_what_was_measured(page)
    it_is_there_when_another_screen_was_shown(page)


@pytest.mark.slow
def test_noise_and_time_are_those_of_the_same_draws():
    page = measured_page()
    flow, x = subject(FLOW, 8, seeded(0))
    survey = survey_of(page)
    for name, way in GRADIENTS.items():
        n, shown = path(panes(page)[NOISE], way.paper).T
        for k, value in zip(n.tolist(), shown.tolist(), strict=True):
            found = cost(flow, x, Truncated(int(k), gradient=name), seeded(1), 4)
            assert value == pytest.approx(found.variance.value, rel=1e-4)
        seconds = [survey.costs[Place(name, int(k), 2)].seconds for k in n]
        np.testing.assert_allclose(path(panes(page)[TIME], way.paper)[:, 1], np.multiply(1000, seconds), rtol=1e-5)
    assert len(path(panes(page)[TIME], WITHOUT)) == 3


def the_verdict_is_computed_from_what_was_measured(page):
    survey, found = survey_of(page), finding(page, Saving)
    assert (found.terms, found.blocks) == (3, 2) and found.measured and found.timed
    assert (found.naive, found.both) == (measured("plain", 3, 2), measured("in_forward", 3, 2))
    seconds = [survey.costs[Place(name, 3, 2)].seconds for name in ("plain", "in_forward")]
    assert [found.naive_seconds, found.both_seconds] == seconds
    page = run(page.selectbox(key="memory.drawn").set_value("kept"))
    kept = [measured(name, 3, 2, drawn="kept") for name in ("plain", "in_forward")]
    assert [finding(page, Saving).naive, finding(page, Saving).both] == kept
    page = run(page.selectbox(key="memory.part").set_value("whole"))
    whole = [measured(name, 3, 2, drawn="kept", alone=False) for name in ("plain", "in_forward")]
    assert [finding(page, Saving).naive, finding(page, Saving).both] == whole
    assert finding(page, Saving) == saving(bench(page), survey)


def test_before_all_is_measured_there_is_no_verdict():
    found = saving(Memory(), Survey(SurveyPlan(FLOW, 8, 3, 4)))
    assert (found.terms, found.blocks) == (3, 2) and not found.measured and not found.timed


@pytest.mark.slow
def test_in_64_dimensions_another_flow_is_measured_and_the_first_stays():
    page = measured_page()
    first = survey_of(page)
    page = run(page.selectbox(key="memory.dim").set_value("64"))
    assert link(page)["memory.dim"] == "64" and not panes(page) and buttons(page) == ["measure"]
    page = press(page, "memory.measure")
    _, by_terms = drawn(panes(page)[BY_TERMS], "both")
    assert by_terms[-1] == pytest.approx(measured("in_forward", 3, 2, dim=64), rel=1e-6)
    page = run(page.selectbox(key="memory.dim").set_value("2"))
    assert survey_of(page) is first and len(own(page).surveys) == 2  # nothing is measured again
    assert not own(page).comparisons and buttons(page) == ["again"]
    assert drawn(panes(page)[BY_TERMS], "both")[1][-1] == pytest.approx(measured("in_forward", 3, 2), rel=1e-6)


@pytest.mark.slow
def test_the_flows_settings_are_the_pages_but_for_the_sizes():
    page = measured_page({"activation": "tanh", "budget": "0.5", "hidden_layers": "2"})
    (of,) = own(page).surveys
    assert of.flow == FlowConfig(dim=2, blocks=2, width=8, activation="tanh", budget=0.5, hidden_layers=2)
    page = press(run(page.sidebar.selectbox(key="activation").set_value("elu")), "memory.measure")
    assert [of.flow.activation for of in own(page).surveys] == ["tanh", "elu"]
    page = run(page.sidebar.number_input(key="seed").set_value(5))  # which has no effect on what is measured
    assert buttons(page) == ["again"] and len(panes(page)) == 4


def test_nothing_is_measured_before_it_is_asked_for(local_engine, monkeypatch):
    asked = []
    monkeypatch.setattr(local_engine, "create", lambda experiment, *_: asked.append(experiment) or "")
    monkeypatch.setattr(core, "subject", None)
    page = run(opened())
    assert buttons(page) == ["measure"] and Saving not in own(page).findings
    assert not panes(page) and not own(page).surveys and not own(page).comparisons
    assert [experiment.arms[0].data for experiment in asked] == ["moons"]  # the page's own run


@pytest.mark.slow
def test_it_stops_goes_on_and_begins_anew(local_engine):
    page = opened()
    with answers_at_the_first_step(local_engine):
        page = run(page.button(key="memory.measure").click())
    run_of = own(page).comparisons["memory"]
    assert run_of.report.state is State.STEPPING and buttons(page) == ["stop"]
    done = run_of.report.arms[0].step
    assert [bar.proto.text for bar in page.main.get("progress")] == [f"Measured {done} of {PIECES}"]
    page = press(page, "memory.stop")
    page = run(page)
    stopped = survey_of(page)
    assert 0 < stopped.step == run_of.report.arms[0].step < PIECES and run_of.report.state is State.PAUSED
    assert buttons(page) == ["go_on", "again"] and len(panes(page)) == (4 if stopped.costs else 2)
    page = press(page, "memory.go_on")
    complete = survey_of(page)
    assert complete.complete and complete.results[: stopped.step] == stopped.results
    assert buttons(page) == ["again"] and len(panes(page)) == 4 and not own(page).comparisons
    page = press(page, "memory.again")
    found = survey_of(page)
    assert found.complete and found.costs != complete.costs  # times are not the same
    for name in GRADIENTS:
        assert found.bytes_at(Place(name, 3, 2), "peak", True) == measured(name, 3, 2)


def stopped_after(local_engine, monkeypatch, pieces):
    """A page that has measured so many pieces and then was stopped."""
    with monkeypatch.context() as patch:
        step = local_engine.step
        patch.setattr(local_engine, "step", lambda id, n: step(id, min(n, pieces)))
        page = measured_page()
    assert survey_of(page).step == pieces and buttons(page) == ["go_on", "again"]
    return page


def test_a_part_that_is_known_is_drawn_and_kept_until_the_rest_is_measured(local_engine, monkeypatch):
    page = stopped_after(local_engine, monkeypatch, 2 + 4)  # without a log det, and all ways at the most terms
    assert len(panes(page)) == 2  # time and noise come when there is some
    assert finding(page, Saving).measured and not finding(page, Saving).timed
    for name, way in GRADIENTS.items():
        n, by_terms = drawn(panes(page)[BY_TERMS], way.paper)
        assert n == [3]
        np.testing.assert_allclose(by_terms, [measured(name, 3, 2)], rtol=1e-6)
        cells = table(page, "| name in the paper |")[way.paper]
        assert in_bytes(cells[5]) == pytest.approx(measured(name, 3, 2), rel=6e-3)
        assert [cells[k] for k in (2, 3, 6, 7)] == ["…"] * 4

    # What was reported stays where the run goes back to its checkpoint.
    known, id = survey_of(page), own(page).comparisons["memory"].run
    job = local_engine._here.runs[id].job
    del job._done[4:]
    page = run(page)
    assert own(page).comparisons["memory"].report.arms[0].found(Survey).step == 4
    assert survey_of(page) is known and buttons(page) == ["go_on", "again"]
    with monkeypatch.context() as patch:
        asked = steps_at_most(local_engine, patch, 5)
        page = press(page, "memory.go_on")
    assert asked == [PIECES - 4] and survey_of(page).step == 9 and buttons(page) == ["go_on", "again"]

    # Where it failed, what is known is kept and gone on with.
    local_engine._here.runs[own(page).comparisons["memory"].run]._fail(FAILED)
    page = run(page)
    assert [error.value for error in page.main.error] == [FAILED]
    known = survey_of(page).results
    assert len(known) == 9 and buttons(page) == ["go_on", "again"]
    page = press(page, "memory.go_on")
    assert survey_of(page).complete and survey_of(page).results[:9] == known and buttons(page) == ["again"]
    assert not page.main.error and len(panes(page)) == 4


@pytest.mark.parametrize("leave", ["by another subject", "by other comparisons", "for so long that it is dropped"])
@pytest.mark.slow
def test_what_was_measured_in_part_survives_its_run_and_is_gone_on_with(local_engine, monkeypatch, leave):
    page = stopped_after(local_engine, monkeypatch, 9)
    known, (id, *_) = survey_of(page), [own(page).comparisons["memory"].run]
    if leave == "by another subject":
        page = press(run(page.select_slider(key="memory.terms").set_value(2)), "memory.measure")
        assert survey_of(page).complete and survey_of(page).of.terms == 2
        page = run(page.select_slider(key="memory.terms").set_value(3))
    elif leave == "by other comparisons":
        page = press(run(page.switch_page("features/joint/joint.py")), "joint.own")
        others = own(page).comparisons
        others |= {f"other {k}": others[next(reversed(others))] for k in range(MOST_COMPARISONS)}
        page = run(page)  # the one of this screen is the newest now
        assert "memory" not in own(page).comparisons
        page.switch_page(SCREEN)
        page = run(page)
    else:
        local_engine.close(id)
        page = run(page)
    assert survey_of(page) is known and "memory" not in own(page).comparisons
    assert buttons(page) == ["go_on", "again"] and len(panes(page)) == 2
    assert local_engine.poll(id, None).state is State.EXPIRED
    page = press(page, "memory.go_on")
    assert survey_of(page).complete and survey_of(page).results[:9] == known.results
    assert len(panes(page)) == 4


@pytest.mark.slow
def test_the_last_results_are_kept_and_those_not_looked_at_for_longest_go():
    page = measured_page()
    first = survey_of(page)
    others = [replace(first.of, batch=9 + k) for k in range(MOST_KEPT - 1)]
    own(page).surveys |= {of: Survey(of, first.results) for of in others}
    page = run(page)  # looks at the first
    page = press(run(page.select_slider(key="memory.terms").set_value(2)), "memory.measure")
    assert list(own(page).surveys) == [*others[1:], first.of, replace(first.of, terms=2)]


def it_is_there_when_another_screen_was_shown(page):
    (survey,) = own(page).surveys.values()
    page = run(page.switch_page("features/paper/paper.py"))
    page.switch_page(SCREEN)
    page = run(page)
    assert list(own(page).surveys.values()) == [survey] and len(panes(page)) == 4 and buttons(page) == ["again"]
    assert link(page)["memory.terms"] == "3"


def test_it_rests_while_another_screen_is_shown_and_goes_on_afterwards(local_engine, monkeypatch):
    most = 12
    steps_at_most(local_engine, monkeypatch, most)
    page = opened()
    with answers_at_the_first_step(local_engine):
        page = run(page.button(key="memory.measure").click())
    page = run(page.switch_page("features/lipschitz/lipschitz.py"))
    resting = own(page).comparisons["memory"]
    assert resting.report.state is State.STEPPING and survey_of(page).step < most
    page.switch_page(SCREEN)
    page = run(page)
    assert survey_of(page).step == most and buttons(page) == ["go_on", "again"]


def survey_of_is_complete(page):
    return any(survey.complete for survey in own(page).surveys.values())


@pytest.mark.slow
def test_what_comes_and_goes_above_the_charts_does_not_move_them(local_engine, monkeypatch):
    page = stopped_after(local_engine, monkeypatch, 9)
    partly = places(page)
    local_engine._here.runs[own(page).comparisons["memory"].run]._message = SAID
    local_engine._here.runs[own(page).comparisons["memory"].run]._changed = True
    page = run(page)
    assert SAID in said(page) and places(page) == partly
    assert places(press(page, "memory.go_on")) == partly


def test_what_would_take_too_long_is_refused_with_the_remedy():
    page = opened(dim="64", blocks="16", terms="20", width="256", batch="256")
    (warning,) = [element.value for element in page.main.warning]
    need, most = (int(number.replace(",", "")) for number in re.findall(r"([\d,]+) MiB", warning))
    assert need > most == 256 and {"terms", "blocks"} <= named(warning)
    assert not panes(page) and not own(page).surveys and not buttons(page)


def test_what_would_hold_up_others_is_refused_with_value_limit_and_remedy(local_engine, monkeypatch):
    steps_at_most(local_engine, monkeypatch, 1)
    monkeypatch.setattr(surveys, "MOST_WORK", 90_000)  # a little below what the largest settings need
    page = measured_page({"activation": "maxmin", "hidden_layers": "4"}, blocks="16", terms="20")
    (error,) = [element.value for element in page.main.error]
    need, most = (int(number.replace(",", "")) for number in re.findall(r"\d[\d,]+", error))
    assert need > most == surveys.MOST_WORK and {"terms", "blocks"} <= named(error)
    assert not panes(page) and not own(page).surveys
    page = run(page.select_slider(key="memory.blocks").set_value(2))
    page = press(run(page.select_slider(key="memory.terms").set_value(2)), "memory.measure")
    assert survey_of(page).step == 1 and not page.main.error


def test_a_link_beyond_the_limits_is_refused_with_the_remedy():
    beyond = {
        "dim": ("3", {"2", "64"}),
        "blocks": ("1", {"2", "16"}),
        "terms": ("21", {"2", "20"}),
        "draws": ("2", {"4", "32"}),
        "drawn": ("all", {"peak", "kept"}),
    }
    page = opened(**{setting: value for setting, (value, _) in beyond.items()})
    text = page.warning[0].value
    for setting, (value, says) in beyond.items():
        kept = settings_of(Memory)[setting][0].default
        begins = f"`memory.{setting} = {value}`: "
        assert begins in text, setting
        said = text[text.index(begins) :].splitlines()[0].partition("`memory.")[2].partition("`memory.")[0]
        assert says <= named(said) and said.split()[-1] == f"{kept}.", said
        assert getattr(bench(page), setting) == kept


def test_slopes_are_by_least_squares_and_sizes_are_readable():
    assert per_step([1, 2, 4], [10.0, 13.0, 19.0]) == pytest.approx(3)
    assert np.isnan(per_step([1, 2], [1.0, np.nan])) and np.isnan(per_step([1], [1.0]))
    shown = [size(v).replace(NO_BREAK_SPACE, " ") for v in (-1e-12, 16, 1500, 2**20 * 3.5, np.nan)]
    assert shown == ["0 B", "16 B", "1.46 KiB", "3.5 MiB", "…"]


def test_the_engine_hears_of_the_pages_flow_while_only_costs_are_measured(local_engine, monkeypatch):
    """It would drop a run of which it has not heard for ten minutes, with all that was trained."""
    page = opened()
    heard = []
    monkeypatch.setattr(local_engine, "attend", heard.append)
    page = run(page)
    assert not heard
    own(page).heard -= HEARD_SECONDS + 1
    page = run(run(page))
    assert heard == [own(page).run]


@pytest.fixture
def remote_engine(monkeypatch):
    """A worker, as on a server."""
    remote = RemoteEngine()
    monkeypatch.setattr(engine, "get_engine", lambda: remote)
    yield remote
    remote.close_all()


@pytest.mark.slow
def test_the_page_measures_nothing_itself(remote_engine, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("The page's process measured.")

    with monkeypatch.context() as patch:
        for name in ("subject", "footprint", "cost", "work"):
            for module in (core, surveys):
                if hasattr(module, name):
                    patch.setattr(module, name, refuse)
        page = measured_page()
        end = time.monotonic() + DEADLINE
        while not survey_of_is_complete(page) and time.monotonic() < end:
            page = run(page)
    assert survey_of(page).complete and len(panes(page)) == 4
    rows = table(page, "| name in the paper |")
    for name, way in GRADIENTS.items():  # the worker's environment changes no byte
        for drawn_bytes in ("kept", "peak"):
            place = Place(name, 3, 2)
            assert survey_of(page).bytes_at(place, drawn_bytes, True) == measured(name, 3, 2, drawn=drawn_bytes)
        assert float(rows[way.paper][6]) > 0
