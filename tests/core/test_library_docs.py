"""Every public name of the library has an example that runs, and the listing of the guide runs as it is written."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import resflow_core as rf

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "library.md"
OWN = [
    name for name, module in rf.NAMES.items() if module.startswith("api.") and name not in ("to_bytes", "from_bytes")
]
MODULES = [
    "api.residual_flow", "api.distribution", "api.library_file", "api.blocks", "api.layers", "api.moments", "api.zuko",
]  # fmt: skip
FINDER = doctest.DocTestFinder()


def methods(kind):
    """What is called of a class: its own public functions."""
    return [name for name, value in vars(kind).items() if inspect.isfunction(value) and not name.startswith("_")]


@pytest.mark.filterwarnings("ignore::resflow_core.api.blocks.BrokenBound")
@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_the_docstrings_run(module):
    module = importlib.import_module(f"resflow_core.{module}")
    examples = [example for example in FINDER.find(module) if example.examples]
    assert examples
    for example in examples:
        assert doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example).failed == 0


@pytest.mark.parametrize("name", OWN)
def test_every_name_of_the_library_has_an_example(name):
    assert ">>>" in getattr(rf, name).__doc__


@pytest.mark.parametrize("kind", [rf.ResidualFlow, rf.ResidualBlock])
def test_every_method_has_an_example(kind):
    without = [name for name in methods(kind) if name != "extra_repr" and ">>>" not in getattr(kind, name).__doc__]
    assert not without


def short(code: str) -> str:
    """The code with times that suit a test: the only change."""
    code, seconds = re.subn(r"seconds=30", "steps=3", code)
    code, context = re.subn(r"context=C\)", "context=C, steps=3)", code)
    assert (seconds, context) == (1, 1)
    return code


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_the_listing_of_the_guide_runs_as_it_is_written(tmp_path, monkeypatch, dtype, capsys):
    """In a folder with a file of the reader's, with contexts C and c, and a module of his own."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("mine.npy", rng.normal(30, 5, (60, 2)).astype(dtype))
    net = torch.nn.Sequential(rf.LipschitzLinear(2, 8, 0.9, seed=0), torch.nn.Tanh(), rf.LipschitzLinear(8, 2, seed=1))
    names = {"C": rng.normal(size=(60, 5)), "c": torch.zeros(5), "my_net": net}
    code = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.S)[1]
    exec(short(code), names)
    assert names["log_p"].shape == (7, 1)
    assert names["x"].shape == names["z"].shape == (3, 4, 2)
    assert float(capsys.readouterr().out) == pytest.approx(0.603, abs=1e-3)
    again = rf.load("mine.rf")
    assert torch.equal(again.log_prob(names["X"]), names["flow"].log_prob(names["X"]))
