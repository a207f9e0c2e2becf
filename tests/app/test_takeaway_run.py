"""Programs in a process of their own, beside the app's own code: equal backends, equal digits."""

import os
import re
import sys
import time

import numpy as np
import pytest
import torch

from app.engine.commands import ViewRequest
from app.engine.local import LocalEngine
from app.engine.remote import RemoteEngine
from app.engine.training.backends import NUMBA, TORCH
from app.engine.training.measurements.masses import Masses
from app.metrics import readouts
from app.setup import CsvChoice, FlowFile, OwnData, SavedFlow, Setup
from app.takeaway.notebook import notebook
from app.takeaway.of_run import of_run
from app.takeaway.training import Run, files
from resflow_core.api import flow_file
from resflow_core.data import Table
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Roulette, Truncated
from resflow_core.norms.constraints import Power
from resflow_core.training.trainer import TrainConfig
from tests.app import takeaway
from tests.app.backends import Always
from tests.environment import ROOT

pytestmark = pytest.mark.slow

DEADLINE = 300.0  # seconds
SMALL = FlowConfig(blocks=3, width=8)
TRAIN = TrainConfig(batch=60, warmup=10)
TABLE = Table("mine", ("a", "b"), np.random.default_rng(3).normal(size=(90, 2)) * [4, 0.01] + [1, 2])
REQUEST = ViewRequest(frames=False, measured={"masses": True})
SAVE = '\nopen("flow.safetensors", "wb").write(rf.to_bytes(trainer.evaluated))\n'


@pytest.fixture(autouse=True)
def arithmetic():
    """That of the process that trains."""
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)


def trained(setup, steps, by_hand=(), backend=TORCH):
    """The last report of the page's run, and its flow as a file. Changes `by_hand` are made while it rests."""
    engine = LocalEngine(600.0, Always(backend))
    run = engine.create(setup.experiment())
    engine.poll(run, REQUEST)
    done = 0
    for step, train in by_hand:
        engine.step(run, step - done)
        engine.poll(run, REQUEST)
        engine.change(run, 0, train)
        done = step
    engine.step(run, 1, in_parts=True)
    engine.poll(run, REQUEST)
    engine.step(run, steps - done - 1)
    (arm,) = engine.poll(run, REQUEST).arms
    assert arm.step == steps
    return arm, engine.export(run, 0)


WEIGHTS = flow_file.to_bytes(SMALL.build(torch.Generator().manual_seed(8)))
RUNS = {
    "planned": (
        Setup("moons", 3, flow=SMALL, train=TRAIN, changes=((20, TrainConfig(learning_rate=0.002, batch=40)),)),
        (),
        TORCH,
    ),
    "by hand, roulette": (
        Setup("8gaussians", 1, flow=SMALL, train=TrainConfig(log_det=Roulette(), batch=60)),
        ((15, TrainConfig(log_det=Roulette(n_probes=2), batch=30)), (25, TrainConfig(average=0.0, weight_decay=0.1))),
        TORCH,
    ),
    "own points, i-ResNet": (
        Setup(
            seed=2,
            flow=FlowConfig(blocks=2, width=8, constraint=Power()),
            train=TrainConfig(log_det=Truncated(3), batch=40),
            own=OwnData(CsvChoice("m", "", "a", "b"), TABLE),
        ),
        (),
        TORCH,
    ),
    "saved weights": (
        Setup("moons", 4, flow=SMALL, train=TRAIN, start=SavedFlow(FlowFile("a", "0"), WEIGHTS)),
        (),
        TORCH,
    ),
    "kernels": (Setup("checkerboard", 0, flow=SMALL, train=TRAIN), ((30, TrainConfig(learning_rate=0.004)),), NUMBA),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_a_run_has_the_same_weights_and_the_same_numbers(name, tmp_path):
    setup, by_hand, backend = RUNS[name]
    arm, flow = trained(setup, 50, by_hand, backend)
    shown = readouts(setup.dataset, arm.train.log_det, arm)
    how = {"step": 50, "readouts": shown, "fingerprint": arm.fingerprint}
    program = of_run(setup, changes=arm.changes or None, **how)
    printed = takeaway.run(program + SAVE, tmp_path, files(Run.of(setup, step=50)))
    assert (tmp_path / "flow.safetensors").read_bytes() == flow
    curves, masses = arm.loss, arm.found(Masses)
    expected = {"Held-out NLL": (curves.held_nll[-1], curves.held_se[-1])}
    if setup.dataset.truth:
        expected["Gap to the truth, KL(data || model)"] = (curves.held_kl[-1], curves.held_kl_se[-1])
    if isinstance(arm.train.log_det, Truncated):
        expected["Bias of log p as training sees it"] = (curves.held_bias[-1], curves.held_bias_se[-1])
    expected["Mass of the density"] = (masses.exact.value, masses.exact.error)
    if masses.believed:
        expected["Mass that training believes in"] = (masses.believed.value, masses.believed.error)
    assert found(printed) == {name: tuple(f"{part:.4f}" for part in pair) for name, pair in expected.items()}
    assert shown[0].value in program and shown[0].error in program


def found(printed: str) -> dict[str, tuple[str, str]]:
    """The lines "name: value ± error"."""
    lines = re.findall(r"^(.+): (\S+) ± (\S+)", printed, re.MULTILINE)
    return {name: (value, error) for name, value, error in lines}


@pytest.mark.filterwarnings("ignore")  # of Jupyter and zmq
def test_the_notebook_of_a_run_prints_what_its_script_prints(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    setup = Setup("moons", 5, flow=SMALL, train=TRAIN)
    program = of_run(setup, step=20)
    printed = takeaway.run(program, tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *(p for p in sys.path if "site-packages" in p)]))
    made = nbformat.reads(notebook(program).decode(), 4)
    kernel = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(made, timeout=300, kernel_name="python3", resources=kernel).execute()
    said = "".join(output.text for cell in made.cells if cell.cell_type == "code" for output in cell.outputs)
    assert said == printed and found(printed)


def test_a_run_of_the_training_process_has_the_same_weights(tmp_path):
    """As pages train: in a process of its own, in slices, by kernels if they are ready when it begins."""
    setup, later = Setup("moons", 6, flow=SMALL, train=TRAIN), TrainConfig(batch=30, learning_rate=0.003)
    engine = RemoteEngine()
    try:
        run = engine.create(setup.experiment())

        def at(step):
            end = time.monotonic() + DEADLINE
            while time.monotonic() < end:
                if (arms := engine.poll(run, REQUEST).arms) and arms[0].step == step:
                    return arms[0]
                time.sleep(0.05)
            raise AssertionError(f"it is not at step {step}")

        at(0)
        engine.step(run, 30)
        at(30)
        engine.change(run, 0, later)
        engine.step(run, 30)
        arm, flow = at(60), engine.export(run, 0)
    finally:
        engine.close_all()
    assert arm.changes == ((30, later),)
    program = of_run(setup, changes=arm.changes, step=60, fingerprint=arm.fingerprint)
    takeaway.run(program + SAVE, tmp_path)
    assert (tmp_path / "flow.safetensors").read_bytes() == flow
