"""What `import resflow_core as rf` offers, and what each way to import the core loads."""

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import resflow_core as rf
from resflow_core.flow import Flow
from tests.core.oracles import seeded
from tests.covering import told
from tests.test_imports import PACKAGES, PAPER

ROOT = Path(__file__).parents[2]


def loaded_by(*programs: str) -> list[set[str]]:
    """The modules that a new Python has after each of these programs, which it runs one after the other."""
    said = "\nimport json, sys; print(json.dumps(list(sys.modules)))\n"
    whole = "".join(program + said for program in programs)
    found = subprocess.run([sys.executable, "-c", whole], cwd=ROOT, capture_output=True, text=True, check=True)
    return [set(json.loads(line)) for line in found.stdout.splitlines()]


def ours(modules: set[str]) -> set[str]:
    return {name.removeprefix("resflow_core.") for name in modules if name.startswith("resflow_core.")}


class TestWhatIsLoaded:
    @pytest.mark.slow
    def test_each_part_loads_what_it_needs(self):
        package, name, ledger, peer, built = loaded_by(
            "import resflow_core as rf; dir(rf), rf.__all__",
            "rf.Exact",
            # Torch would load its compiler at the first operation that is counted; it takes most of a second and
            # doubles the time of all further ones.
            "import torch; from resflow_core.measure.ledger import Ledger\n"
            "with Ledger() as ledger: (torch.ones(3) + 1).sum()\n"
            "assert ledger.operations == 3",
            "from resflow_core import training, measure\n"
            "from resflow_core.baselines.zuko_flows import BaselineConfig\n"
            "from resflow_core.training.parameter_count import matched\n"
            "config = matched('nsf', 1_000)",
            "config.build(torch.Generator())",
        )
        # The package itself: neither torch nor its own modules.
        assert not ours(package)
        assert not {"torch", "numpy"} & package
        # Any name brings all that a flow may be built of.
        assert {"norms", "fast", "expressions"} <= ours(name)
        assert not {"measure", "data", "training", "baselines"} & ours(name)
        assert "torch._dynamo" not in ledger
        # Zuko is imported by who builds a peer alone.
        assert "zuko" not in peer and "zuko" in built

    @pytest.mark.thorough
    def test_a_file_of_the_paper_loads_files_of_the_paper_only(self):
        (modules,) = loaded_by(
            "from resflow_core.flow import FlowConfig, Flow\n"
            "import torch\n"
            "assert type(FlowConfig().build(torch.Generator())) is Flow"
        )
        assert ours(modules) <= set(PAPER)
        assert len(ours(modules)) <= 15


class TestNames:
    def test_there_are_at_most_36(self):
        assert len(rf.NAMES) <= 36
        assert rf.__all__ == list(rf.NAMES)

    def test_each_is_listed_documented_and_its_modules_own(self):
        for name in rf.NAMES:
            value = getattr(rf, name)
            with told(name):
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
        assert type(flow) is Flow
        assert flow.log_prob(torch.zeros(3, 2)).shape == (3,)


@pytest.mark.thorough
def test_the_example_of_the_help_runs():
    (example,) = doctest.DocTestFinder(recurse=False).find(rf, "resflow_core", globs={})
    assert len(example.examples) == 5
    assert doctest.DocTestRunner().run(example).failed == 0


def test_the_help_begins_with_the_formula():
    text = rf.__doc__
    assert "log p(x) = log N(f(x); 0, I) + sum" in text
    assert text.index("log p(x)") < text.index(">>>")
