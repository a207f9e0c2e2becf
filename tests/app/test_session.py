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
from app.link import query_of, read_link, told
from app.session.plan import PlanEnded
from app.setup import Setup, in_force
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
