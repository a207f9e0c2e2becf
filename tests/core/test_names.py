"""What `import resflow_core as rf` offers, and the two lists that say what its parts need."""

import sys
import tomllib
from pathlib import Path

import pytest
import torch

import resflow_core as rf
from resflow_core.extras import EXTRAS
from resflow_core.fast.fused_flow import FusedFlow
from resflow_core.flow import Flow
from tests.core.oracles import seeded

ROOT = Path(__file__).parents[2]


def test_each_name_is_its_modules_own_and_another_is_refused():
    assert rf.__all__ == list(rf.NAMES)
    for name in rf.NAMES:
        assert getattr(rf, name) is getattr(sys.modules[f"resflow_core.{rf.NAMES[name]}"], name)
    with pytest.raises(AttributeError, match=r"no attribute 'Flows'\. It offers ResidualFlow, load, "):
        rf.Flows  # noqa: B018


def test_plug_ins_are_registered():
    config = rf.FlowConfig(activation="=sin(z)", norms="mixed", constraint=rf.Hard(), blocks=2)
    assert type(config.build(seeded(0))) is FusedFlow
    assert type(config.build(seeded(0), "paper")) is Flow
    assert config.build(seeded(0)).log_prob(torch.zeros(3, 2)).shape == (3,)


def test_the_extra_named_app_is_what_requirements_txt_has():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = {name: tuple(package.split(">=")[0] for package in extras[name]) for name in EXTRAS}
    assert named == EXTRAS and EXTRAS.keys() == extras.keys() - {"app"}
    (ray,) = extras.pop("ray")
    assert ray in (ROOT / "tests" / "requirements.txt").read_text().splitlines()
    itself, *app = extras.pop("app")
    assert itself == f"{project['name']}[{','.join(extras)}]"
    installed = [*project["dependencies"], *(package for packages in extras.values() for package in packages), *app]
    assert sorted(installed) == sorted((ROOT / "requirements.txt").read_text().split())
