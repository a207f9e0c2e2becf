"""What `import resflow_core as rf` offers, and what each way to import the core loads."""

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import resflow_core as rf
from resflow_core.fast.fused_flow import FusedFlow
from resflow_core.flow import Flow
from tests.core.oracles import seeded
from tests.test_imports import PACKAGES, PAPER

ROOT = Path(__file__).parents[2]


def loaded_by(program: str) -> set[str]:
    """The modules that a new Python has after a program."""
    program += "\nimport json, sys; print(json.dumps(list(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(found.stdout))


def ours(modules: set[str]) -> set[str]:
    return {name.removeprefix("resflow_core.") for name in modules if name.startswith("resflow_core.")}


class TestWhatIsLoaded:
    def test_the_package_itself_loads_neither_torch_nor_its_own_modules(self):
        modules = loaded_by("import resflow_core as rf; dir(rf), rf.__all__")
        assert not ours(modules)
        assert not {"torch", "numpy"} & modules

    def test_a_file_of_the_paper_loads_files_of_the_paper_only(self):
        modules = loaded_by(
            "from resflow_core.flow import FlowConfig, Flow, IMPLEMENTATIONS\n"
            "import torch\n"
            "assert list(IMPLEMENTATIONS) == ['paper']\n"
            "assert type(FlowConfig().build(torch.Generator())) is Flow"
        )
        assert ours(modules) <= set(PAPER)
        assert len(ours(modules)) <= 15

    def test_any_name_brings_all_that_a_flow_may_be_built_of(self):
        modules = loaded_by("import resflow_core as rf; rf.Exact")
        assert {"norms", "fast", "expressions"} <= ours(modules)
        assert not {"measure", "data", "training", "baselines"} & ours(modules)


class TestNames:
    def test_there_are_at_most_36(self):
        assert len(rf.NAMES) <= 36
        assert rf.__all__ == list(rf.NAMES)

    @pytest.mark.parametrize("name", rf.NAMES)
    def test_each_is_listed_documented_and_its_modules_own(self, name):
        value = getattr(rf, name)
        assert name in dir(rf)
        assert not value.__doc__.startswith(f"{name}(")  # as the docstring that a dataclass makes for itself
        assert value is getattr(sys.modules[f"resflow_core.{rf.NAMES[name]}"], name)

    def test_none_hides_a_module(self):
        assert not {*PAPER, *PACKAGES} & set(rf.NAMES)

    def test_another_name_is_refused_with_those_that_there_are(self):
        with pytest.raises(AttributeError, match=r"no attribute 'Flows'\. It offers ResidualFlow, load, "):
            rf.Flows  # noqa: B018

    def test_plug_ins_are_registered(self):
        config = rf.FlowConfig(activation="=sin(z)", norms="mixed", constraint=rf.Hard(), blocks=2)
        flow = config.build(seeded(0))
        assert type(flow) is FusedFlow
        assert type(config.build(seeded(0), "paper")) is Flow
        assert flow.log_prob(torch.zeros(3, 2)).shape == (3,)


def test_the_example_of_the_help_runs():
    (example,) = doctest.DocTestFinder(recurse=False).find(rf, "resflow_core", globs={})
    assert len(example.examples) == 5
    assert doctest.DocTestRunner().run(example).failed == 0


def test_the_help_begins_with_the_formula():
    text = rf.__doc__
    assert "log p(x) = log N(f(x); 0, I) + sum" in text
    assert text.index("log p(x)") < text.index(">>>")
