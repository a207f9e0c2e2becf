"""The core without the libraries that only parts of it need, and the two lists that say what those are."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from resflow_core.extras import EXTRAS

ROOT = Path(__file__).parents[2]

# Runs in a Python of its own, where the rest of the app's requirements cannot be imported.
WITHOUT_EXTRAS = '''
import sys
from importlib.machinery import PathFinder

BLOCKED = {
    "sklearn", "scipy", "zuko", "numba", "contourpy", "streamlit", "altair", "pandas", "yaml", "matplotlib"
}

class Finder(PathFinder):
    """Finds what Python finds, except these."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in BLOCKED else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder

import importlib, pkgutil
import resflow_core

modules = [found.name for found in pkgutil.walk_packages(resflow_core.__path__, "resflow_core.")]
libraries = ("resflow_core.fast.kernel.", "resflow_core.api.zuko_transforms")  # numba's and zuko's: imported on demand
modules = [name for name in modules if not name.startswith(libraries)]
assert len(modules) > 80, modules
for name in modules:
    importlib.import_module(name)
assert not BLOCKED & {name.split(".")[0] for name in sys.modules}

import torch
import resflow_core as rf

for name in rf.NAMES:
    getattr(rf, name)
trainer = rf.Trainer(rf.FlowConfig(blocks=2), rf.TrainConfig(batch=32), rf.DATASETS["moons"], seed=0)
trainer.step()
flow = rf.from_bytes(rf.to_bytes(trainer.flow))
x = rf.DATASETS["moons"].held_out()
assert torch.equal(flow.log_prob(x), trainer.flow.log_prob(x))

import numpy
from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.data.digits import DIGITS
from resflow_core.measure.inversion import zero_curves

def refused(package, library, call):
    try:
        call()
    except ModuleNotFoundError as error:
        assert str(error) == f'{library} is not installed. Install it with: pip install {package}', error
    else:
        raise AssertionError(f"{library} was not needed")

generator = torch.Generator()
for name in ("wine", "iris", "diabetes"):
    refused("scikit-learn", "sklearn", lambda: rf.DATASETS[name].sample(5, generator))
refused("scikit-learn", "sklearn", DIGITS.held_out)
for kind in BASELINES:
    refused("zuko", "zuko", lambda: BaselineConfig(kind).build(generator))
refused("zuko", "zuko", lambda: rf.to_zuko(flow))
refused("contourpy", "contourpy", lambda: zero_curves(numpy.eye(3), ((0, 1), (0, 1))))
print("done")
'''


@pytest.mark.slow
def test_every_module_is_imported_and_a_flow_is_trained_without_them():
    found = subprocess.run([sys.executable, "-c", WITHOUT_EXTRAS], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout == "done\n", found.stderr


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
