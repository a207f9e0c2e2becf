"""Environments with the wheel of the core and exactly those packages that a reader is told to install.

The wheel is built and installed by the pip and setuptools of the tests, and packages are links to those of the tests,
so that nothing is downloaded.
"""

import atexit
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def wheel() -> Path:
    """Built from a copy of the tree: setuptools leaves folders beside what it builds."""
    source, built = _folder() / "tree", _folder() / "built"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info"))
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", built, source], check=True)
    (path,) = built.iterdir()
    return path


@cache
def python(*packages: str) -> Path:
    """Of an environment with the wheel, what it requires, and these packages with what they require."""
    place = Path(tempfile.mkdtemp(dir=_folder()))
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    subprocess.run([*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel()], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    (of_wheel,) = metadata.distributions(name="resflow", path=[str(site)])
    for package in _with_required({*packages, *_required(of_wheel)}):
        for file in metadata.files(package) or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(metadata.distribution(package).locate_file(top))
    return python


def _with_required(packages: Iterable[str]) -> set[str]:
    found, left = set[str](), list(packages)
    while left:
        if (package := left.pop()) not in found:
            found.add(package)
            left += _required(metadata.distribution(package))
    return found


def _required(package: metadata.Distribution) -> list[str]:
    """What it cannot do without."""
    wanted = map(Requirement, package.requires or ())
    return [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
