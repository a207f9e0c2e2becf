"""Kernels that were kept and then damaged, as by a full disk or a crash: they are compiled anew, and no run is torch's
for it."""

import itertools
import os
import subprocess
import sys

import pytest

from tests.served import ROOT

BEGIN = """
from app.engine.training.backends import CompiledWhenReady
from resflow_core.training import compilation
import app.engine.training.backends as backends
backends.LOAD_SECONDS = 600.0
ready = CompiledWhenReady()
print(ready.of_saved_run("numba"), ready.why_torch or "as usual", compilation.are_kept())
"""

KEPT_TWICE = """
from pathlib import Path
from resflow_core.training import compilation
compilation.keep()
compilation.check()
next(Path(compilation.folder()).glob("*.nbc")).write_bytes(b"")
print(compilation.are_kept())
compilation.keep()
print(compilation.are_kept())
"""


def begun(folder, script=BEGIN):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def emptied(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path):
    """As a block of another file."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 512] = os.urandom(512)
    path.write_bytes(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("numba")
    assert begun(found) == "numba as usual True"
    return found


@pytest.mark.parametrize(("kind", "damages"), [("nbi", [cut]), ("nbc", [emptied, overwritten])])
def test_damaged_kernels_are_thrown_away_and_compiled_anew(folder, kind, damages):
    files = sorted(folder.rglob(f"*.{kind}"))
    assert len(files) >= 5
    before = files[0].read_bytes()
    for file, damage in zip(files, itertools.cycle(damages), strict=False):
        damage(file)
    assert begun(folder) == "numba as usual True"
    assert files[0].exists() and len(files[0].read_bytes()) > 0.9 * len(before)


def test_a_process_that_has_them_in_memory_writes_them_anew(folder):
    assert begun(folder, KEPT_TWICE) == "False\nTrue"
