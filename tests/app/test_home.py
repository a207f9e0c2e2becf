"""The home page: it needs no run and no settings, and its picture is what the flow computes."""

import contextlib
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import engine, evidence
from app.features.home import replay, taken
from app.features.home.evidence import CUT, DATA, EXACT, FLOW, GRID, NAME, TRAIN
from app.takeaway.of_run import of_trained
from app.ui.lesson_list import Row
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import Soft
from resflow_core.log_det import Exact, Truncated
from resflow_core.training.trainer import TrainConfig
from tests.app.pages import decode, keys, link

MAIN = Path(__file__).parents[2] / "app" / "page.py"
ENDS = ("true", "bias", "mass")
HOME, EXPLORE = "features/home/home.py", "features/explore/explore.py"


REPLAY, PANES = "replay", "panes"  # the pictures of home and of Explore


def checked(page, picture):
    assert not page.exception, page.exception
    assert len(page.title) == 1
    assert {REPLAY, PANES} & set(keys(page)) == {picture}
    return page


def test_the_bare_address_stays_bare_and_starts_nothing(monkeypatch):
    monkeypatch.setattr(engine, "get_engine", lambda: pytest.fail("nobody asked for a flow"))
    page = checked(AppTest.from_file(MAIN, default_timeout=600).run(), REPLAY)
    assert not page.query_params
    assert not page.sidebar.children
    assert "page" not in page.session_state
    assert "arxiv.org/abs/1906.02735" in page.caption[0].value


def test_settings_in_the_bare_address_open_explore_and_wait_while_somebody_is_at_home(local_engine):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in {"blocks": "2", "width": "16", "batch": "64", "data": "moons"}.items():
        page.query_params[name] = value
    checked(page.run(), PANES)
    before = page.session_state["page"]
    setup, run = before.setup, before.run
    assert (setup.data, setup.flow.blocks, setup.train.batch) == ("moons", 2, 64)
    address = link(page)

    page.session_state["class.controls"] = ["blocks"]  # a widget that no setting holds
    before.heard = 0.0
    page.query_params.clear()
    checked(page.switch_page(HOME).run(), REPLAY)
    assert not page.query_params
    assert page.session_state["page"].heard > 0  # the engine keeps the run
    checked(page.switch_page(EXPLORE).run(), PANES)
    assert page.session_state["page"].run == run
    assert page.session_state["page"].setup == setup
    assert link(page) == address
    assert page.session_state["class.controls"] == ["blocks"]


def test_the_replay_is_of_the_first_seed_and_its_sentence_of_all():
    told, scene = evidence.stored(NAME), replay.scene()
    found = told.found
    assert len(told.seeds) >= 3 and found["steps"][0] == 0
    for name in (EXACT, CUT):
        kept, shown = found[name], scene[name]
        assert len(shown["density"]) == len(shown["true"]) == len(found["steps"])
        for k, mean in enumerate(shown["true"]):
            assert mean == kept["true"][k]
            assert shown["reported"][k] == pytest.approx(kept["true"][k] - kept["bias"][k])
            assert shown["mass"][k] == kept["mass"][k]
        assert all(len(kept["ends"][end]) == len(told.seeds) and kept["ends"][end][0] == kept[end][-1] for end in ENDS)
    assert not np.any(found[EXACT]["bias"])
    numbers = [float(text) for text in re.findall(r"\d+\.\d+", replay.sentence())]
    cut = {name: np.mean(found[CUT]["ends"][name]) for name in ENDS}
    wanted = [cut["true"] - cut["bias"], DATASETS[DATA].truth.entropy, cut["true"], cut["mass"]]
    assert numbers == pytest.approx(wanted, abs=0.06)


def test_the_density_of_the_replay_is_packed_from_a_blob_to_the_squares():
    window = np.array(evidence.stored(NAME).found["window"])
    pictures = replay.scene()[EXACT]["density"]
    side = np.linspace(*window[0], GRID)
    x, y = np.meshgrid(side, side)
    is_square = np.floor(x / 2).astype(int) % 2 == np.floor(y / 2).astype(int) % 2
    shares = [decode(one["level"])[is_square].sum() / decode(one["level"]).sum() for one in pictures]
    assert shares[0] < 0.65 and shares[-1] > 0.85  # of the density at the nodes, in the squares


def test_the_stored_run_was_made_with_the_settings_that_its_programs_say():
    told = evidence.stored(NAME)
    names = {one.__name__: one for one in (FlowConfig, TrainConfig, Exact, Soft)}
    assert [eval(told.settings[one], names) for one in ("flow", "train")] == [FLOW, TRAIN]
    for name in (EXACT, CUT):
        run = taken.run_of(name)
        assert (run.step, run.seed, run.arm.data) == (told.found["steps"][-1], told.seeds[0], DATA)
    exact, cut = (run.arm.train.log_det for run in map(taken.run_of, (EXACT, CUT)))
    assert (exact, cut) == (Exact(), Truncated(told.settings["terms"]))


@pytest.mark.thorough
@pytest.mark.parametrize("name", [EXACT, CUT])
def test_a_program_of_the_replay_trains_the_stored_run_anew(name):
    at, printed = 1, io.StringIO()
    # By PyTorch, which rounds in another way than the kernels and needs no time to load them.
    program = of_trained(replace(taken.run_of(name, at), fingerprint="torch"))
    threads = torch.get_num_threads()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(program, "program", "exec"), {})
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
    lines = re.findall(r"^(.+): (-?[\d.]+) ±", printed.getvalue(), re.MULTILINE)
    numbers = {label: float(value) for label, value in lines}
    found = evidence.stored(NAME).found[name]
    # To the same step from the same seed: other processors round in other ways, and a step later adds 0.01 nats.
    assert numbers["Held-out NLL"] == pytest.approx(found["true"][at], abs=0.002)
    believed = numbers.get("Mass that training believes in", numbers["Mass of the density"])
    assert believed == pytest.approx(found["mass"][at], abs=0.005)
    if name == CUT:
        assert numbers["Bias of log p as training sees it"] == pytest.approx(found["bias"][at], abs=0.002)


def test_the_menu_of_the_replay_offers_both_runs_as_script_and_notebook():
    files = taken.files()
    assert len({file.name for file in files}) == len({file.title for file in files}) == len(files)
    assert [file.name.rpartition(".")[2] for file in files] == 2 * ["py", "ipynb"]
    programs = [file.made() for file in files if file.name.endswith(".py")]
    assert ["rf.Truncated" in program for program in programs] == [False, True]
    for program, name in zip(programs, (EXACT, CUT), strict=True):
        kept = evidence.stored(NAME).found[name]
        assert f"True loss: {kept['true'][-1]:.2f} nats" in program
        assert ('backend="numba"' in program) == ("numba" in evidence.stored(NAME).backend)


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
