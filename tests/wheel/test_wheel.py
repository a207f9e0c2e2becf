"""The wheel that `pip install .` makes: what is in it, and that it works by itself.

The wheel is built and installed by the pip and setuptools of the test environment, without its dependencies, so that
nothing is downloaded. The new environment finds torch, NumPy and safetensors where the test environment has them: a
.pth file adds that folder to its path. It comes after the new environment's own folder.
"""

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests import readme_listing

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]

PROGRAM = """
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
print("done")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of the tree: setuptools leaves folders beside what it builds."""
    source, built = tmp_path_factory.mktemp("source") / "tree", tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info"))
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", built, source], check=True)
    (path,) = built.iterdir()
    return path


def test_it_holds_the_core_alone(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    core = {path.relative_to(ROOT).as_posix() for path in (ROOT / "resflow_core").rglob("*") if path.is_file()}
    assert {name for name in names if ".dist-info/" not in name} == {n for n in core if "__pycache__" not in n}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_it_needs_three_packages_and_names_the_extras(wheel):
    with zipfile.ZipFile(wheel) as file:
        (metadata,) = (file.read(name).decode() for name in file.namelist() if name.endswith(".dist-info/METADATA"))
    head = metadata.split("\n\n")[0].splitlines()
    needed = {line.removeprefix("Requires-Dist: ") for line in head if line.startswith("Requires-Dist: ")}
    assert {package.split(">=")[0] for package in needed if "extra ==" not in package} == {
        "torch",
        "numpy",
        "safetensors",
    }
    assert {"data", "baselines", "measure", "fast", "app", "ray"} == {
        line.removeprefix("Provides-Extra: ") for line in head if line.startswith("Provides-Extra: ")
    }
    assert "Description-Content-Type: text/markdown" in head


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Of an environment of its own, with the wheel."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    subprocess.run([*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "test_environment.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run(python, program, folder):
    # -I: neither the folder that it runs in nor PYTHONPATH is on the path.
    found = subprocess.run([python, "-I", "-W", "error", "-c", program], cwd=folder, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_it_works_in_an_environment_of_its_own(python, tmp_path):
    assert run(python, PROGRAM, tmp_path) == "done\n"


def test_the_listing_of_readme_runs_there(python, tmp_path):
    assert float(run(python, readme_listing.program(), tmp_path)) == pytest.approx(0.603, abs=1e-3)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.npy", "mine.rf"}
