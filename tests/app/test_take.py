"""Files of the menu *Take it with you*: what is asked for is made, and an archive says what is in it."""

import base64
import csv
import io
import zipfile

import altair as alt
import pandas as pd
import pytest
import torch

import resflow_core as rf
from app.components import take
from app.components.take import File
from app.engine.commands import ViewRequest
from app.engine.local import LocalEngine
from app.engine.training.backends import TORCH
from app.setup import Setup
from app.ui import settled, takeaway
from resflow_core.api import flow_file
from tests.app.backends import Always


def refused():
    raise RuntimeError("There is no flow yet.")


FILES = (File("Two", "two.csv", lambda: "a\n2\n"), File("None", "none.bin", refused, "x/y", "Flow"))


@pytest.fixture
def asked(monkeypatch):
    """Lets the component `menu` have asked for something."""
    state = {}
    monkeypatch.setattr(take.st, "session_state", state)
    return lambda wanted: state.update(menu={"asks": wanted})


def test_files_are_offered_and_made_only_when_asked_for(asked):
    found = take.encode(FILES, "menu")
    assert found == {
        "files": [
            {"name": "two.csv", "title": "Two", "group": "Numbers"},
            {"name": "none.bin", "title": "None", "group": "Flow"},
        ],
        "answer": None,
    }


def test_what_is_asked_for_is_answered(asked):
    asked([7, "two.csv"])
    answer = take.encode(FILES, "menu")["answer"]
    assert (answer["n"], answer["file"], answer["mime"]) == (7, "two.csv", "text/csv")
    assert base64.b64decode(answer["base64"]) == b"a\n2\n"


def test_an_answer_is_told_again_for_a_while_because_the_next_message_may_overtake_it(asked, monkeypatch):
    now, made = [100.0], []
    monkeypatch.setattr(take, "monotonic", lambda: now[0])
    file = File("Two", "two.csv", lambda: made.append(1) or "a\n2\n")

    def answer(wanted):
        asked(wanted)
        return take.encode([file], "menu")["answer"]

    first = answer([7, "two.csv"])
    assert answer(None) == first and made == [1], "told again, and not made again"
    assert answer([8, "two.csv"])["n"] == 8
    now[0] += take.REPEATED_SECONDS
    assert answer(None) is None, "a file is not sent with every later message"


def test_why_a_file_cannot_be_made_is_the_answer(asked):
    asked([8, "none.bin"])
    assert take.encode(FILES, "menu")["answer"] == {"n": 8, "problem": "There is no flow yet."}


@pytest.mark.parametrize("wanted", ["two.csv", [], [1], ["1", "two.csv"], [1, "two.csv", 3], {"n": 1}, 5])
def test_nonsense_of_a_browser_is_not_answered(asked, wanted):
    asked(wanted)
    assert take.encode(FILES, "menu")["answer"] is None


@pytest.mark.parametrize("name", ["../two.csv", "", None, ["two.csv"], 3])
def test_a_file_that_is_not_offered_is_not_made(asked, name):
    asked([1, name])
    answer = take.encode(FILES, "menu")["answer"]
    assert "base64" not in answer and answer["problem"]


def test_an_archive_has_what_its_text_says():
    flow = rf.FlowConfig(blocks=2, width=8).build(torch.Generator().manual_seed(3))
    flows = {"Ours, 5 terms": (flow_file.to_bytes(flow), True), "Peer": (b"weights", False), "Gone": (None, True)}
    data = takeaway.zipped("compare", {"Table": b"a\n1\n", "Curves": b"b\n"}, flows, "https://there/?seed=3")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        ours, peer = "weights/1-ours-5-terms.safetensors", "weights/2-peer.safetensors"
        members = {f"compare/{name}" for name in ("README.txt", "table.csv", "curves.csv", ours, peer)}
        assert set(archive.namelist()) == members
        text = archive.read("compare/README.txt").decode()
        assert archive.read("compare/table.csv") == b"a\n1\n"
        read = rf.from_bytes(archive.read(f"compare/{ours}"))
    assert all(torch.equal(a, b) for a, b in zip(read.parameters(), flow.parameters(), strict=True))
    assert all(name in text for name in ("table.csv", "curves.csv", ours, peer, "https://there/?seed=3", "“Gone”"))
    assert data == takeaway.zipped("compare", {"Table": b"a\n1\n", "Curves": b"b\n"}, flows, "https://there/?seed=3")


@pytest.mark.parametrize("text, name", [("i-ResNet, 5 terms", "i-resnet-5-terms"), ("../../x", "x"), ("***", "file")])
def test_names_of_members_stay_in_their_folder(text, name):
    assert takeaway.member(text) == name


def test_the_numbers_of_a_settled_chart_bear_the_names_of_its_axes():
    lines = alt.Chart(pd.DataFrame({"p": [0.1, 0.2], "v": [1.5, 2.5]}))
    lines = lines.mark_line().encode(alt.X("p:Q", title="p, the chance"), alt.Y("v:Q", title="variance (nats²)"))
    rule = alt.Chart(pd.DataFrame({"here": [0.5]})).mark_rule().encode(x="here:Q")
    rows = list(csv.DictReader(io.StringIO(settled.numbers(lines + rule).decode())))
    told = [(row["p, the chance"], row["variance (nats²)"], row["here"]) for row in rows]
    assert sorted(told) == [("", "", "0.5"), ("0.1", "1.5", ""), ("0.2", "2.5", "")]


class TestRun:
    """The programs of the page's run: each is of what the picture shows at that moment."""

    SETUP = Setup("moons", 3, flow=rf.FlowConfig(blocks=2, width=8), train=rf.TrainConfig(batch=20))
    POINT = (0.25, -1.0)

    @pytest.fixture
    def files(self, monkeypatch):
        """Of a report, by name."""
        for name, value in {"setup": self.SETUP, "shareable": self.SETUP, "edited": None, "flow_saver": bytes}.items():
            monkeypatch.setattr(takeaway.session, name, lambda value=value: value)
        return lambda *of: {file.name: file for file in takeaway.run_files(*of)}

    @pytest.fixture
    def run(self):
        engine = LocalEngine(60.0, Always(TORCH))
        run = engine.create(self.SETUP.experiment())
        engine.poll(run, ViewRequest(frames=False))

        def stepped(n, in_parts=False, **measured):
            engine.step(run, n, in_parts=in_parts)
            return engine.poll(run, ViewRequest(frames=False, measured=measured))

        return stepped

    def test_without_a_point_and_parts_there_is_the_run_alone(self, files, run):
        found = files(run(5))
        assert [name for name in found if name.endswith(".py")] == ["moons.py"]
        assert "range(5)" in found["moons.py"].made()

    def test_a_chosen_point_has_a_program_of_that_point(self, files, run):
        program = files(run(5, point=self.POINT))["point.py"].made()
        assert "x = (0.25, -1.0)" in program and "range(5)" in program

    def test_a_step_in_its_parts_has_a_program_until_the_next_one(self, files, run):
        program = files(run(1, in_parts=True))["step.py"].made()
        assert "step_in_parts" in program and "range(0)" in program
        assert "step.py" not in files(run(1))

    def test_an_earlier_moment_has_neither(self, files, run):
        run(5)
        report = run(1, in_parts=True, point=self.POINT)
        assert {"point.py", "step.py"} <= set(files(report))
        assert not {"point.py", "step.py"} & set(files(report, 3))
