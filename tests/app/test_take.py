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
def answered(monkeypatch):
    """What the component `menu` is answered that has asked for something."""
    state = {}
    monkeypatch.setattr(take.st, "session_state", state)

    def answer(wanted, files=FILES):
        state.update(menu={"asks": wanted})
        return take.encode(files, "menu")["answer"]

    return answer


def test_what_is_asked_for_is_answered(answered):
    answer = answered([7, "two.csv"])
    assert (answer["n"], answer["file"], answer["mime"]) == (7, "two.csv", "text/csv")
    assert base64.b64decode(answer["base64"]) == b"a\n2\n"
    assert answered([8, "none.bin"]) == {"n": 8, "problem": "There is no flow yet."}


def test_an_answer_is_told_again_for_a_while_because_the_next_message_may_overtake_it(answered, monkeypatch):
    now, made = [100.0], []
    monkeypatch.setattr(take, "monotonic", lambda: now[0])
    files = [File("Two", "two.csv", lambda: made.append(1) or "a\n2\n")]
    first = answered([7, "two.csv"], files)
    assert answered(None, files) == first and made == [1], "told again, and not made again"
    assert answered([8, "two.csv"], files)["n"] == 8
    now[0] += take.REPEATED_SECONDS
    assert answered(None, files) is None, "a file is not sent with every later message"


@pytest.mark.parametrize("wanted", ["two.csv", [], [1], ["1", "two.csv"], [1, "two.csv", 3], {"n": 1}, 5])
def test_nonsense_of_a_browser_is_not_answered(answered, wanted):
    assert answered(wanted) is None


@pytest.mark.parametrize("name", ["../two.csv", "", None, ["two.csv"]])
def test_a_file_that_is_not_offered_is_not_made(answered, name):
    answer = answered([1, name])
    assert "base64" not in answer and answer["problem"]


def test_an_archive_has_what_its_text_says():
    flow = rf.FlowConfig(blocks=2, width=8).build(torch.Generator().manual_seed(3))
    flows = {"Ours, 5 terms": (flow_file.to_bytes(flow), True), "../Peer": (b"weights", False), "Gone": (None, True)}
    made = ("compare", {"Table": b"a\n1\n", "Curves": b"b\n"}, flows, "https://there/?seed=3")
    with zipfile.ZipFile(io.BytesIO(takeaway.zipped(*made))) as archive:
        ours, peer = "weights/1-ours-5-terms.safetensors", "weights/2-peer.safetensors"
        members = {f"compare/{name}" for name in ("README.txt", "table.csv", "curves.csv", ours, peer)}
        assert set(archive.namelist()) == members
        text = archive.read("compare/README.txt").decode()
        assert archive.read("compare/table.csv") == b"a\n1\n"
        read = rf.from_bytes(archive.read(f"compare/{ours}"))
    assert all(torch.equal(a, b) for a, b in zip(read.parameters(), flow.parameters(), strict=True))
    assert all(name in text for name in ("table.csv", "curves.csv", ours, peer, "https://there/?seed=3", "“Gone”"))
    assert takeaway.zipped(*made) == takeaway.zipped(*made)


def test_the_numbers_of_a_settled_chart_bear_the_names_of_its_axes():
    lines = alt.Chart(pd.DataFrame({"p": [0.1, 0.2], "v": [1.5, 2.5]}))
    lines = lines.mark_line().encode(alt.X("p:Q", title="p, the chance"), alt.Y("v:Q", title="variance"))
    rule = alt.Chart(pd.DataFrame({"here": [0.5]})).mark_rule().encode(x="here:Q")
    rows = list(csv.DictReader(io.StringIO(settled.numbers(lines + rule).decode())))
    told = [(row["p, the chance"], row["variance"], row["here"]) for row in rows]
    assert sorted(told) == [("", "", "0.5"), ("0.1", "1.5", ""), ("0.2", "2.5", "")]


def test_the_programs_of_a_run_are_of_what_the_picture_shows(monkeypatch):
    setup = Setup("moons", 3, flow=rf.FlowConfig(blocks=2, width=8), train=rf.TrainConfig(batch=20))
    for name, value in {"setup": setup, "shareable": setup, "edited": None, "flow_saver": bytes}.items():
        monkeypatch.setattr(takeaway.session, name, lambda value=value: value)
    engine = LocalEngine(60.0, Always(TORCH))
    run = engine.create(setup.experiment())
    engine.poll(run, ViewRequest(frames=False))

    def programs(n, step=None, in_parts=False, **measured):
        engine.step(run, n, in_parts=in_parts)
        report = engine.poll(run, ViewRequest(frames=False, measured=measured))
        return {file.name: file for file in takeaway.run_files(report, step) if file.name.endswith(".py")}

    point = (0.25, -1.0)
    first = programs(5)
    assert set(first) == {"moons.py"} and "range(5)" in first["moons.py"].made()
    in_parts = programs(1, in_parts=True, point=point)
    assert set(in_parts) == {"moons.py", "point.py", "step.py"}
    assert "step_in_parts" in in_parts["step.py"].made() and "range(5)" in in_parts["step.py"].made()
    assert "x = (0.25, -1.0)" in in_parts["point.py"].made() and "range(6)" in in_parts["point.py"].made()
    assert set(programs(1, point=point)) == {"moons.py", "point.py"}  # the next step is not in its parts
    assert set(programs(1, step=3, in_parts=True, point=point)) == {"moons.py"}  # an earlier moment has neither
