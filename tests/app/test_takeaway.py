"""Programs: each compiles, imports the library, NumPy and torch alone, and says the settings of its page."""

import math
from dataclasses import replace

import nbformat
import numpy as np
import pytest
import torch

import resflow_core as rf
from app.drawing import Drawing, Stroke
from app.estimates.settings import Bench
from app.setup import CsvChoice, OwnData, Setup, drawn
from app.takeaway.notebook import notebook
from app.takeaway.of_run import of_run
from app.takeaway.programs import PROGRAMS
from app.takeaway.source import Source
from app.takeaway.training import POINTS, Run, files
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import Table
from resflow_core.estimators.draws import draw_estimates
from resflow_core.estimators.draws import values as estimates
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import Change, Edited
from resflow_core.norms.constraints import Bjorck, Power
from resflow_core.roulette import Custom, Geometric, Poisson
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig
from tests.app.takeaway import imported

ALLOWED = {"resflow_core", "numpy", "torch"}
HOSTILE = 'x"""; import os\n\N{BELL}' + "'\\`#"
POINTS_OF = np.random.default_rng(0).normal(size=(40, 2)) * [3, 1e-5] + [100, 0]
TABLE = Table("mine.csv", ("a", HOSTILE), POINTS_OF, labels=("yes", 'n"o') * 20)
STROKES = (Stroke(0, 3, ((300, 300), (400, 350))), Stroke(1, 2, ((600, 600), (610, 700), (620, 720))))


def check(program):
    """That it is Python and imports nothing else; what it says."""
    compile(program, "program", "exec")
    assert imported(program) <= ALLOWED
    return program


@pytest.mark.parametrize(
    "config",
    [
        FlowConfig(),
        FlowConfig(blocks=3, activation="=sin(z)", constraint=Power(iterations=2, warm=False), norms="inf", dim=4),
        FlowConfig(constraint=Bjorck()),
        TrainConfig(),
        TrainConfig(log_det=Truncated(3, probe="sphere"), batch=7, average=0.0),
        TrainConfig(log_det=Roulette(Custom((1.0, 0.5, 0.1)), n_draws=2)),
        HybridTrainConfig(weight=0.5, log_det=Roulette(Poisson(3.0, 1))),
        HybridConfig(BaselineConfig("maf"), 3),
        HybridConfig(None),
        Edited(1, 2.5, (Change("weight", 0, 1, -3.0, 1), Change("row", 1, 0, math.inf))),
        Roulette(Geometric(0.25, 4), n_probes=3),
        (1.0, float("-inf")),
        [(), (Exact(),)],
        HOSTILE,
        "plain",
        None,
    ],
    ids=lambda config: type(config).__name__,
)
def test_a_value_is_written_as_python_that_makes_it(config):
    source = Source()
    expression, names = source.value(config), {}
    exec(source.imports(expression), names)
    assert eval(expression, names) == config


CHANGED = ((40, TrainConfig(learning_rate=0.003)), (60, TrainConfig(batch=64)), (90, TrainConfig(batch=32)))


def test_a_run_says_its_settings_and_the_changes_that_acted():
    setup = Setup(data="moons", seed=3, flow=FlowConfig(blocks=4), train=TrainConfig(batch=50), changes=CHANGED)
    program = check(of_run(setup, step=90))
    assert "blocks=4" in program and "seed=3" in program and "range(90)" in program
    assert "40: rf.TrainConfig(learning_rate=0.003)" in program and "60:" in program
    assert "90:" not in program, "it acts on steps that were not taken"
    assert "changes" not in of_run(setup, changes=(), step=90), "those that were made are given, and there are none"


def test_the_backend_is_the_one_that_computed_the_run():
    by_numba = of_run(Setup(), step=1, fingerprint="torch 2.9.0 AVX2, numba 0.62.1 znver3, 1 thread")
    assert 'backend="numba"' in by_numba
    assert "backend=" not in of_run(Setup(), step=1, fingerprint="torch 2.9.0 AVX2, x86_64, 1 thread")


def test_what_an_estimator_believes_is_printed_where_it_is_known():
    def believed(log_det):
        return "believed" in check(of_run(Setup(train=TrainConfig(log_det=log_det)), step=1))

    assert believed(Truncated()) and believed(Roulette())
    assert not believed(Exact()) and not believed(Roulette(n_draws=2)), "it has no closed form"


def test_errors_of_few_draws_are_those_of_a_sample(capsys):
    """Of three draws: with n in the place of n - 1 a standard error is four fifths of what it should be."""
    exec(PROGRAMS["estimate"](Bench(seed=4), 3), {})
    bench, said = Bench(), capsys.readouterr().out
    values = draw_estimates(bench.array, bench.law, bench.probe, 3, 4).value
    deviation = math.sqrt(sum((value - values.mean()) ** 2 for value in values) / 2)
    assert f"± {deviation / math.sqrt(3):.2g} nats" in said
    assert f"Standard deviation of the draws: {deviation:.6g} nats" in said

    exec(PROGRAMS["coins"](Bench(probe="rademacher"), {(3, 1): 2, (4, -1): 1}), {})
    said = capsys.readouterr().out
    v = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    found = estimates(bench.array, bench.law, np.array([3, 3, 4]), v)
    assert f"± {math.sqrt(found.var() * 3 / 2 / 3):.2g} nats" in said


def loaded(program, folder, monkeypatch):
    """The values of a program after its data are made."""
    monkeypatch.chdir(folder)
    until, _, _ = program.partition("# Maximum likelihood")
    names = {}
    exec(until.replace("torch.set_flush_denormal(True)", ""), names)
    return names


@pytest.mark.parametrize("own", [OwnData(CsvChoice("m", "0", "a", "b"), TABLE), drawn(Drawing(STROKES))])
def test_own_points_are_those_of_the_page(own, tmp_path, monkeypatch):
    run = Run.of(Setup(own=own), step=0)
    written = files(run)
    assert set(written) == {POINTS}
    (tmp_path / POINTS).write_bytes(written[POINTS])
    data = loaded(check(of_run(Setup(own=own), step=0)), tmp_path, monkeypatch)["data"]
    assert np.array_equal(data.values, own.table.values) and data.names == own.table.names
    assert torch.equal(data.held_out(), own.table.held_out())
    draws = [table.sample(9, torch.Generator().manual_seed(1)) for table in (data, own.table)]
    assert torch.equal(*draws)


def test_a_notebook_is_valid_and_has_the_same_code():
    program = of_run(Setup(changes=CHANGED), step=90)
    made = nbformat.reads(notebook(program).decode(), 4)
    nbformat.validate(made)
    about, *cells = made.cells
    assert about.cell_type == "markdown" and about.source.startswith("# Train a residual flow")
    code = "\n\n".join(cell.source for cell in cells)
    assert code.strip() == program.split('"""', 2)[2].strip()
    assert len(cells) == 6 and all(cell.source.startswith("#") for cell in cells[1:])
    assert notebook(program) == notebook(program)
    assert rf.NAMES  # the library that its cells import


RUN = Run.of(Setup("moons", 3, flow=FlowConfig(blocks=2, width=8), train=TrainConfig(batch=40)), step=12)
ROULETTE = replace(RUN, arm=replace(RUN.arm, train=TrainConfig(log_det=Roulette(), batch=40)))


def test_the_change_before_a_step_acts_on_it():
    program = PROGRAMS["step"](replace(ROULETTE, step=41, arm=replace(ROULETTE.arm, changes=CHANGED)))
    assert "range(40)" in program and "trainer.configure(rf.TrainConfig(learning_rate=0.003))" in program
    with pytest.raises(ValueError, match="step = 0"):
        PROGRAMS["step"](replace(RUN, step=0))
