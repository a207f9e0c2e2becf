"""The wheel that `pip install .` makes: what is in it, and that it works with nothing but what it requires."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from tests import environment, readme_listing

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
README = readme_listing.README.read_text()

PROGRAM = """
import importlib
import pkgutil
import sys
from importlib import metadata
from pathlib import Path

import torch

import resflow_core as rf

assert rf.__version__ == metadata.version("resflow")
place = Path(rf.__file__).resolve()
assert place.is_relative_to(Path(sys.prefix).resolve() / "lib"), place

config = rf.FlowConfig(blocks=3, activation="=sin(z)", norms="mixed", constraint=rf.Hard())
trainer = rf.Trainer(config, rf.TrainConfig(log_det=rf.Roulette(), batch=64), rf.DATASETS["moons"], seed=0)
losses = [trainer.step() for _ in range(5)]
assert torch.tensor(losses).isfinite().all()
assert type(trainer.flow).__name__ == "FusedFlow"

file = Path("flow.safetensors")
file.write_bytes(rf.to_bytes(trainer.evaluated))
flow = rf.from_bytes(file.read_bytes())
x = rf.DATASETS["moons"].held_out()
assert torch.equal(flow.log_prob(x), trainer.evaluated.log_prob(x))
assert (flow.inverse(flow(x)) - x).norm(dim=1).max() < 1e-3


def refused(package, call):
    try:
        call()
    except ModuleNotFoundError as error:
        assert str(error).endswith(f"is not installed. Install it with: pip install {package}"), error
    else:
        raise AssertionError(f"{package} was not needed")


refused("scikit-learn", lambda: rf.DATASETS["wine"].sample(5, torch.Generator()))
refused("zuko", lambda: rf.to_zuko(flow))
for found in pkgutil.walk_packages(rf.__path__, "resflow_core."):
    # Two import numba and zuko, and are imported on demand.
    if not found.name.startswith(("resflow_core.fast.kernel.", "resflow_core.api.zuko_transforms")):
        importlib.import_module(found.name)
print("done")
"""


def test_it_holds_the_core_alone():
    with zipfile.ZipFile(environment.wheel()) as file:
        names = set(file.namelist())
    core = {path.relative_to(ROOT).as_posix() for path in (ROOT / "resflow_core").rglob("*") if path.is_file()}
    assert {name for name in names if ".dist-info/" not in name} == {n for n in core if "__pycache__" not in n}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def run(python, program, folder):
    # -I: neither the folder that it runs in nor PYTHONPATH is on the path.
    found = subprocess.run([python, "-I", "-W", "error", "-c", program], cwd=folder, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_it_works_in_an_environment_of_its_own(tmp_path):
    assert run(environment.python(), PROGRAM, tmp_path) == "done\n"


def test_the_listing_of_readme_runs_with_what_readme_says_to_install(tmp_path):
    assert "pip install zuko" in README
    python = environment.python("zuko")
    assert float(run(python, readme_listing.program(), tmp_path)) == pytest.approx(0.603, abs=1e-3)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.npy", "mine.rf"}
