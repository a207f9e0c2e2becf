"""Every public name of the library has an example that runs, and the listing of README runs as it is written."""

import doctest
import importlib
import inspect

import pytest
import torch

import resflow_core as rf
from tests.readme_listing import program

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


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.thorough
def test_the_listing_of_readme_runs_as_it_is_written(tmp_path, monkeypatch, dtype, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(program(dtype), names)
    assert names["log_p"].shape == (7, 1)
    assert names["x"].shape == names["z"].shape == (3, 4, 2)
    assert float(capsys.readouterr().out) == pytest.approx(0.603, abs=1e-3)
    again = rf.load("mine.rf")
    assert torch.equal(again.log_prob(names["X"]), names["flow"].log_prob(names["X"]))
