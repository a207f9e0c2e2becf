"""The page's part in links, plans and files, over an engine that reports what a test says."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import engine
from app.csv_file import digest_of
from app.engine.reports import ArmReport, Report, State
from app.engine.training import job
from app.link import MOST_CHANGES, query_of, read_link, told
from app.session.plan import PlanEnded
from app.setup import Setup, in_force
from app.ui import controls
from app.ui.presets import PRESETS
from resflow_core.api import flow_file
from resflow_core.data import DATASETS, Table
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Truncated
from resflow_core.training.trainer import TrainConfig
from tests.app.pages import copied_link, finding
from tests.app.pages import link as address

MAIN = Path(__file__).parents[2] / "app" / "page.py"
FLOW = FlowConfig(blocks=3, width=16)
BEGAN = TrainConfig(batch=64)
SLOWER = dataclasses.replace(BEGAN, learning_rate=0.001)
BIASED = dataclasses.replace(SLOWER, log_det=Truncated(7))
PLAN = Setup("moons", 5, flow=FLOW, train=BEGAN, changes=((120, SLOWER), (300, BIASED)))


class Scripted:
    """An engine that obeys nothing, notes everything, and reports `arm` in `state`."""

    def __init__(self):
        self.experiments, self.said, self.exported = [], [], []
        self.state, self.arm, self.flow, self.confirmed = State.PAUSED, ArmReport(0, 0.0, 0.0), b"a flow", True

    def create(self, experiment, step=0, fingerprints=()):
        self.experiments.append(experiment)
        self.at(step, experiment.arms[0].train)
        return f"run {len(self.experiments)}"

    def stored(self, experiment, step, fingerprints=()):
        return 0

    def preserve(self, id):
        return 0

    def checkpoints(self, experiment, step, fingerprints=()):
        return ()

    def poll(self, id, demand):
        why = "it was asked for"
        return Report(id, self.state, (self.arm,), device="cpu", device_reason=why, confirmed=self.confirmed)

    def at(self, step, train, changes=()):
        self.arm = ArmReport(step, 0.0, 0.0, train=train, changes=changes)

    def export(self, id, arm_index):
        self.exported.append(id)
        return self.flow

    def __getattr__(self, button):
        if not hasattr(engine.Engine, button):
            raise AttributeError(f"An engine has no {button!r}.")
        return lambda *args: self.said.append((button, *args))


@pytest.fixture
def scripted(monkeypatch):
    scripted = Scripted()
    monkeypatch.setattr(engine, "get_engine", lambda: scripted)
    return scripted


def opened(query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in query.items():
        page.query_params[name] = value
    return run(page.switch_page("features/explore/explore.py"))


def run(page_or_widget):
    """The page after another run of its script; a widget brings its new value."""
    page = page_or_widget.run()
    assert not page.exception, page.exception
    assert len(page.title) == 1
    return page


def own(page):
    return page.session_state["page"]


def said(kind, page):
    return " ".join(element.value for element in getattr(page, kind))


def copied(page):
    """What the link to copy brings to whoever opens it."""
    return read_link(copied_link(page))


# --- plans ----------------------------------------------------------------------------------------------------------


def test_the_engine_is_given_the_plan_and_the_widgets_follow_it(scripted):
    page = opened(query_of(PLAN))
    (experiment,) = scripted.experiments
    assert experiment == PLAN.experiment()
    assert page.select_slider(key="learning_rate").value == BEGAN.learning_rate
    scripted.at(120, SLOWER, PLAN.changes[:1])
    page = run(run(page))
    assert page.select_slider(key="learning_rate").value == 0.001
    scripted.at(310, BIASED, PLAN.changes)
    page = run(run(page))
    assert page.selectbox(key="log_det").value == "truncated"
    assert page.select_slider(key="log_det.n_terms").value == 7
    assert not [command for command in scripted.said if command[0] == "change"]
    assert len(scripted.experiments) == 1
    assert address(page) == query_of(PLAN, step=310)
    assert not page.warning


def test_somebodys_own_change_ends_the_plan_and_the_page_says_so(scripted):
    page = opened(query_of(PLAN))
    scripted.at(120, SLOWER, PLAN.changes[:1])
    page = run(run(page))
    page = run(page.select_slider(key="batch").set_value(32))
    mine = dataclasses.replace(SLOWER, batch=32)
    assert scripted.said[-1] == ("change", "run 1", 0, mine)
    assert finding(page, PlanEnded) == PlanEnded(step=300) and own(page).notice == said("info", page)
    scripted.at(150, mine, (PLAN.changes[0], (140, mine)))
    page = run(page)
    assert page.select_slider(key="batch").value == 32
    assert read_link(address(page)).setup.changes == (PLAN.changes[0], (140, mine))
    assert in_force(read_link(address(page)).setup, 150) == mine
    page = run(page.select_slider(key="batch").set_value(64))
    assert not page.info


def test_of_two_changes_at_one_step_the_address_has_the_later_also_before_the_engine_says_so(scripted):
    page = opened(query_of(PLAN))
    scripted.at(120, SLOWER, PLAN.changes[:1])
    page, scripted.confirmed = run(run(page)), False
    page = run(page.select_slider(key="batch").set_value(32))
    read = read_link(address(page))
    assert read.setup.changes == ((120, dataclasses.replace(SLOWER, batch=32)),)
    assert not read.refused


def test_a_report_from_before_somebodys_own_change_does_not_take_it_back(scripted):
    page = opened(query_of(PLAN))
    scripted.at(120, SLOWER, PLAN.changes[:1])
    page = run(run(page))
    page = run(page.select_slider(key="batch").set_value(32))
    page = run(run(page))  # the engine has not seen it yet
    assert page.select_slider(key="batch").value == 32
    assert [command[0] for command in scripted.said].count("change") == 1


def test_another_data_set_ends_the_plan_too(scripted):
    page = opened(query_of(PLAN))
    own(page).picked = "8gaussians"
    page = run(page)
    assert scripted.experiments[-1] == Setup("8gaussians", 5, flow=FLOW, train=BEGAN).experiment()
    assert finding(page, PlanEnded) == PlanEnded(step=120) and own(page).notice == said("info", page)


def test_reset_follows_the_plan_again_from_the_beginning(scripted):
    page = opened(query_of(PLAN))
    scripted.at(310, BIASED, PLAN.changes)
    page = run(run(page))
    page = run(run(page.button(key="reset").click()))
    assert scripted.experiments == [PLAN.experiment()] * 2
    assert page.select_slider(key="learning_rate").value == BEGAN.learning_rate
    assert page.selectbox(key="log_det").value == "exact"
    assert not [command for command in scripted.said if command[0] in ("change", "reset")]


def test_the_link_to_copy_says_how_the_run_began_what_changed_and_what_is_still_planned(scripted):
    page = opened(query_of(PLAN))
    page.session_state["share"] = True  # the popover stands open
    scripted.at(120, SLOWER, PLAN.changes[:1])
    page = run(run(page))
    assert copied(page).setup == PLAN
    first, second = told(BEGAN, PLAN.changes)
    assert f"- {first}\n- {second}" in said("markdown", page)
    assert "120" in first and first.endswith(" 0.001") and "," not in first
    assert "300" in second and " 7," in second and "0.001" not in second
    page = run(page.select_slider(key="batch").set_value(32))
    mine = dataclasses.replace(SLOWER, batch=32)
    scripted.at(150, mine, (PLAN.changes[0], (140, mine)))
    page = run(page)
    assert copied(page).setup == dataclasses.replace(PLAN, changes=((120, SLOWER), (140, mine)))


def test_a_run_with_more_changes_than_a_link_can_hold_says_so(scripted):
    page = opened({})
    page.session_state["share"] = True
    for n, more in ((MOST_CHANGES, False), (MOST_CHANGES + 1, True)):
        changes = tuple((step, (SLOWER, BEGAN)[step % 2]) for step in range(1, n + 1))
        scripted.at(n, changes[-1][1], changes)
        page = run(page)
        assert (f"first {MOST_CHANGES} " in said("warning", page)) == more == len(page.warning)
        assert len(copied(page).setup.changes) == MOST_CHANGES and bool(copied(page).refused) == more


def test_what_is_set_before_the_first_step_is_how_the_run_began(scripted):
    page = opened(query_of(dataclasses.replace(PLAN, changes=())))
    page = run(page.select_slider(key="batch").set_value(32))
    mine = dataclasses.replace(BEGAN, batch=32)
    scripted.at(0, mine)
    page = run(page)
    scripted.at(90, SLOWER, ((80, SLOWER),))
    page.session_state["share"] = True
    page = run(page)
    assert own(page).link.setup.train == mine


TOO_MUCH, OF = TrainConfig(batch=4096), FlowConfig(blocks=32, width=256, hidden_layers=4)


@pytest.fixture
def _large_steps(monkeypatch):
    """As where memory is short: steps go through a batch in parts, so none of the page's settings needs too much."""
    monkeypatch.setattr(job, "step_bytes", lambda flow, train: train.batch * 2**20)


@pytest.mark.usefixtures("_large_steps")
def test_a_change_that_memory_does_not_allow_is_not_made_and_said_until_the_next_one(scripted):
    near = dataclasses.replace(TOO_MUCH, batch=1024)
    page = opened(query_of(dataclasses.replace(PLAN, train=near, changes=(), flow=OF)))
    before = address(page)
    page = run(run(page.select_slider(key="batch").set_value(4096)))
    assert page.select_slider(key="batch").value == 1024
    assert address(page) == before
    assert own(page).setup.train == near
    assert not [command for command in scripted.said if command[0] == "change"]
    scripted.at(50, near)
    page = run(run(page))
    assert "4 GiB" in own(page).notice and " 2 " in own(page).notice
    assert own(page).notice == said("info", page)
    page = run(page.select_slider(key="batch").set_value(512))
    assert scripted.said[-1] == ("change", "run 1", 0, dataclasses.replace(near, batch=512))
    assert not page.info


@pytest.mark.usefixtures("_large_steps")
def test_a_change_that_memory_does_not_allow_leaves_the_plan_alone(scripted):
    near = dataclasses.replace(TOO_MUCH, batch=1024)
    plan = dataclasses.replace(PLAN, train=near, flow=OF, changes=((120, SLOWER),))
    page = opened(query_of(plan))
    page = run(run(page.select_slider(key="batch").set_value(4096)))
    assert "4 GiB" in said("info", page)
    assert PlanEnded not in own(page).findings
    assert address(page) == query_of(plan)
    page = run(run(page.button(key="reset").click()))
    assert scripted.experiments == [plan.experiment()] * 2


# --- files ----------------------------------------------------------------------------------------------------------

ROWS = np.random.default_rng(0).normal(size=(40, 3))
KINDS = tuple("up" if a > 0 else "down" for a in ROWS[:, 0])
CSV = "\n".join(["a,b,c,kind", *(f"{a},{b},{c},{kind}" for (a, b, c), kind in zip(ROWS, KINDS, strict=True))]).encode()


def upload(page, key, name, data):
    return run(page.file_uploader(key=key).set_value((name, data, "")))


def choose_own(page):
    own(page).picked = "csv"
    return run(page)


def test_own_data_need_a_file_and_until_then_the_others_go_on(scripted):
    page = choose_own(opened(query_of(PLAN)))
    assert len(scripted.experiments) == 1
    assert address(page)["data"] == "moons"
    page = upload(page, "csv", "points.csv", CSV.replace(b"\n", b"\nbad,", 1))
    assert all(part in said("error", page) for part in ("`points.csv`", "Line 2", "5 cells"))
    assert len(scripted.experiments) == 1
    page = upload(page, "csv", "points.csv", CSV)
    assert not page.error
    (arm,) = scripted.experiments[-1].arms
    assert isinstance(arm.data, Table)
    assert arm.data.names == ("a", "b")
    np.testing.assert_array_equal(arm.data.values, ROWS[:, :2])
    assert {key: value for key, value in address(page).items() if key.startswith(("data", "csv"))} == {
        "data": "csv",
        "csv.name": "points.csv",
        "csv.digest": digest_of(CSV),
        "csv.x": "a",
        "csv.y": "b",
        "csv.label": "",
    }


def test_columns_and_labels_are_chosen_by_name_and_what_cannot_be_leaves_the_run_alone(scripted):
    page = upload(choose_own(opened({})), "csv", "points.csv", CSV)
    page = run(page.selectbox(key="csv.x").set_value("c"))
    assert scripted.experiments[-1].arms[0].data.names == ("c", "b")
    page = run(page.selectbox(key="csv.label").set_value("kind"))
    assert scripted.experiments[-1].arms[0].data.labels == KINDS
    runs = len(scripted.experiments)
    page = run(page.selectbox(key="csv.y").set_value("c"))
    assert "`c`" in said("error", page) and "two" in said("error", page)
    assert len(scripted.experiments) == runs
    page = run(page.selectbox(key="csv.y").set_value("b"))
    assert not page.error
    assert len(scripted.experiments) == runs


def test_a_bad_file_after_a_good_one_changes_nothing_and_the_good_one_stays(scripted):
    page = upload(choose_own(opened({})), "csv", "points.csv", CSV)
    page = upload(page, "csv", "empty.csv", b"")
    assert "`empty.csv`" in said("error", page) and "empty." in said("error", page)
    assert len(scripted.experiments) == 2
    own(page).picked = "moons"
    page = choose_own(run(page))
    assert [e.arms[0].data if isinstance(e.arms[0].data, str) else "own" for e in scripted.experiments] == [
        "checkerboard",
        "own",
        "moons",
        "own",
    ]


def linked(**more):
    query = query_of(PLAN) | {"data": "csv", "csv.name": "points.csv", "csv.digest": digest_of(CSV)}
    return query | {"csv.x": "c", "csv.y": "b", "csv.label": "kind"} | more


def test_a_link_asks_for_its_csv_file_and_goes_on_as_planned_once_it_is_there(scripted):
    query = linked()
    page = opened(query)
    shown = DATASETS["checkerboard"].title
    assert all(part in said("warning", page) for part in ("`points.csv`", f"({digest_of(CSV)})", shown))
    assert scripted.experiments[-1].arms[0].data == "checkerboard"
    assert address(page) == query
    page = upload(page, "needed_csv", "points.csv", CSV + b"\n1,2,3,x")
    found = digest_of(CSV + b"\n1,2,3,x")
    assert all(part in said("error", page) for part in ("`points.csv`", f"({found})", f"({digest_of(CSV)})"))
    page = upload(page, "needed_csv", "copy.csv", CSV)
    assert not page.warning
    (arm,) = scripted.experiments[-1].arms
    assert (arm.data.names, arm.changes) == (("c", "b"), PLAN.changes)
    assert arm.data.labels == KINDS
    page = run(page)
    assert page.selectbox(key="csv.x").value == "c"
    assert address(page) == query
    assert len(scripted.experiments) == 2


def changed_by_plan(page, scripted):
    """The page after the first planned change took over."""
    scripted.at(120, SLOWER, PLAN.changes[:1])
    page = run(run(page))
    assert page.select_slider(key="learning_rate").value == SLOWER.learning_rate
    return page


def keeps_its_plan(page, scripted):
    """Whether the newest run begins as the link says and the page took nothing for a change of its reader's."""
    arm, page = scripted.experiments[-1].arms[0], run(page)
    assert (arm.train, arm.changes) == (BEGAN, PLAN.changes)
    assert page.select_slider(key="learning_rate").value == BEGAN.learning_rate
    assert not page.info
    return not [command for command in scripted.said if command[0] == "change"]


def test_a_csv_file_that_comes_after_a_planned_change_does_not_end_the_plan(scripted):
    page = changed_by_plan(opened(linked()), scripted)
    assert keeps_its_plan(upload(page, "needed_csv", "points.csv", CSV), scripted)


def test_a_link_to_columns_that_are_not_there_says_so(scripted):
    page = upload(opened(linked(**{"csv.x": "z"})), "needed_csv", "points.csv", CSV)
    assert all(part in said("error", page) for part in ("`z`", "`a`, `b`, `c`, `kind`"))
    assert len(scripted.experiments) == 1


@pytest.mark.thorough
def test_the_file_that_a_link_needs_may_also_be_given_in_the_sidebar(scripted):
    page = choose_own(changed_by_plan(opened(linked()), scripted))
    page = upload(page, "csv", "other.csv", CSV + b"\n1,2,3,x")
    assert finding(page, PlanEnded) == PlanEnded(step=300) and own(page).notice == said("info", page)
    page = choose_own(changed_by_plan(opened(linked()), scripted))
    page = upload(page, "csv", "copy.csv", CSV)
    assert not page.warning
    assert scripted.experiments[-1].arms[0].data.names == ("c", "b")
    assert keeps_its_plan(page, scripted)
    assert address(page) == linked()


def test_who_chooses_other_data_is_no_longer_asked_for_the_file(scripted):
    page = opened(linked())
    own(page).picked = "8gaussians"
    page = run(page)
    assert not page.warning
    assert address(page)["data"] == "8gaussians"


SAVED = FlowConfig(blocks=2, width=8, hidden_layers=1, activation="elu")
FILE = flow_file.to_bytes(SAVED.build(torch.Generator().manual_seed(1)))


def test_a_saved_flow_brings_its_settings_and_another_setting_leaves_it_behind(scripted):
    page = opened(query_of(dataclasses.replace(PLAN, changes=())))
    page = upload(page, "open_flow", "noise.safetensors", b"noise")
    assert "`noise.safetensors`" in said("error", page) and " safetensors" in said("error", page)
    assert len(scripted.experiments) == 1
    page = upload(page, "open_flow", "mine.safetensors", FILE)
    (arm,) = scripted.experiments[-1].arms
    assert (arm.flow, arm.weights, arm.train, arm.data) == (SAVED, FILE, BEGAN, "moons")
    assert page.select_slider(key="blocks").value == 2
    assert page.selectbox(key="activation").value == "elu"
    assert own(page).setup.start.file.name == "mine.safetensors"
    assert "`mine.safetensors`" in said("caption", page)
    assert address(page)["flow.name"] == "mine.safetensors"
    assert address(page)["flow.digest"] == digest_of(FILE)
    page = run(page.number_input(key="seed").set_value(9))
    assert scripted.experiments[-1].arms[0].weights == FILE
    page = run(page.select_slider(key="blocks").set_value(4))
    (arm,) = scripted.experiments[-1].arms
    assert (arm.flow.blocks, arm.weights) == (4, None)
    assert "flow.name" not in address(page)


def linked_to_flow():
    query = query_of(dataclasses.replace(PLAN, flow=SAVED))
    return query | {"flow.name": "mine.safetensors", "flow.digest": digest_of(FILE)}


def test_a_flow_that_comes_after_a_planned_change_does_not_end_the_plan(scripted):
    page = changed_by_plan(opened(linked_to_flow()), scripted)
    assert keeps_its_plan(upload(page, "needed_flow", "mine.safetensors", FILE), scripted)


def test_the_flow_that_a_link_needs_may_also_be_given_in_the_sidebar(scripted):
    page = upload(opened(linked_to_flow()), "open_flow", "mine.safetensors", FILE)
    assert not page.warning
    assert scripted.experiments[-1].arms[0].weights == FILE
    assert keeps_its_plan(page, scripted)


def test_another_flow_ends_the_plan_and_the_page_says_so(scripted):
    page = upload(changed_by_plan(opened(linked()), scripted), "open_flow", "mine.safetensors", FILE)
    assert finding(page, PlanEnded) == PlanEnded(step=300) and own(page).notice == said("info", page)
    (arm,) = scripted.experiments[-1].arms
    assert (arm.flow, arm.weights, arm.train, arm.changes) == (SAVED, FILE, SLOWER, ())
    assert "`points.csv`" in said("warning", page)


def test_a_link_asks_for_its_flow(scripted):
    query = linked_to_flow()
    page = opened(query)
    assert all(part in said("warning", page) for part in ("`mine.safetensors`", f"({digest_of(FILE)})"))
    assert scripted.experiments[-1].arms[0].weights is None
    assert address(page) == query
    page = upload(page, "needed_flow", "mine.safetensors", FILE)
    (arm,) = scripted.experiments[-1].arms
    assert (arm.flow, arm.weights, arm.changes) == (SAVED, FILE, PLAN.changes)
    assert not page.warning
    assert address(page) == query


def test_a_flow_that_plays_is_followed_by_one_that_plays(scripted):
    page = opened({})
    scripted.state = State.PLAYING
    page = run(page)
    page = upload(page, "open_flow", "mine.safetensors", FILE)
    assert ("play", "run 2") in scripted.said
    assert ("close", "run 1") in scripted.said


def test_a_run_that_is_to_play_does_so_also_when_it_is_changed_again_while_it_loads(scripted):
    page = opened({})
    scripted.state = State.LOADING
    page = run(page.button(key="play").click())
    page = run(page.select_slider(key="blocks").set_value(4))
    page = run(page.select_slider(key="blocks").set_value(5))
    assert [command[1] for command in scripted.said if command[0] == "play"] == ["run 1", "run 2", "run 3"]
    scripted.state = State.PAUSED
    page = run(page)
    run(page.select_slider(key="blocks").set_value(6))
    assert scripted.said[-1] != ("play", "run 4")


@pytest.mark.parametrize("key", ["play", "step", "reset"])
def test_what_stops_a_run_is_not_forgotten_while_it_loads(scripted, key):
    page = opened({})
    scripted.state = State.PLAYING
    page = run(page)
    page = page.button(key=key).click()
    scripted.state = State.LOADING
    run(run(page).select_slider(key="blocks").set_value(4))
    assert not [command for command in scripted.said if command[0] == "play"]


@pytest.fixture
def saved(monkeypatch):
    """What the button that saves the flow was last given."""
    saved = {}
    monkeypatch.setattr(
        controls.st, "download_button", lambda label, contents, name, **_: saved.update(contents=contents, name=name)
    )
    return saved


def test_the_flow_that_is_saved_is_that_of_the_run_that_is_looked_at(scripted, saved):
    page = opened(query_of(PLAN))
    run(page.select_slider(key="blocks").set_value(4))
    saved["contents"]()
    assert scripted.exported == ["run 2"]


def test_the_flow_of_the_run_is_saved_under_the_name_of_its_data(scripted, saved):
    opened(query_of(PLAN))
    assert saved["name"] == "moons.safetensors"
    assert saved["contents"]() == b"a flow"
    scripted.flow = None
    with pytest.raises(RuntimeError, match="There is no flow to save"):
        saved["contents"]()


def test_a_preset_sets_all_of_its_settings_at_once(scripted):
    page = opened({"data": "moons", "activation": "tanh", "log_det": "roulette", "log_det.law": "poisson"})
    for name, preset in PRESETS.items():
        page = run(page.button(key=f"preset.{name}").click())
        arm = scripted.experiments[-1].arms[0]
        assert (arm.flow, arm.train, arm.data) == (preset.flow, preset.train, "moons"), name
        assert [b.key for b in page.button if b.key.startswith("preset.") and b.disabled] == [f"preset.{name}"]
        assert address(page)["blocks"] == str(preset.flow.blocks), name


@pytest.mark.parametrize("resumes_at", [None, 340])
def test_play_goes_on_with_a_dropped_run_or_begins_anew_where_nothing_is_left(scripted, resumes_at):
    page = opened(query_of(PLAN))
    id, began = own(page).run, len(scripted.experiments)
    scripted.poll = lambda id, demand: Report(id, State.EXPIRED, message="It was dropped.", resumes_at=resumes_at)
    page = run(page)
    assert [error.value for error in page.error] == ["It was dropped."]
    page = run(page.button(key="play").click())
    if resumes_at:
        assert ("play", id) in scripted.said and len(scripted.experiments) == began
    else:
        assert len(scripted.experiments) == began + 1
        assert ("play", own(page).run) in scripted.said and own(page).run != id


def test_a_long_step_is_told_before_it_is_taken(scripted):
    scripted.poll = lambda id, demand: Report(id, State.LOADING, step_seconds=3.21)
    page = opened(query_of(PLAN))
    assert any("3.2 s" in text.value for text in page.markdown)
