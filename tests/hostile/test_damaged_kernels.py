"""Kernels that were kept and then damaged, as by a full disk or a crash: they are compiled anew, and no run is torch's
for it."""

import os
import subprocess
import sys

from tests.served import ROOT

BEGIN = """
from app.engine.training.backends import CompiledWhenReady
from resflow_core.training import compilation
import app.engine.training.backends as backends
backends.LOAD_SECONDS = 600.0
ready = CompiledWhenReady()
print(ready.of_saved_run("numba"), ready.why_torch or "as usual", compilation.are_kept())
"""


def begun(folder):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", BEGIN]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_damaged_kernels_are_thrown_away_and_compiled_anew(tmp_path):
    assert begun(tmp_path) == "numba as usual True"
    indices, kernels = (sorted(tmp_path.rglob(f"*.{kind}")) for kind in ("nbi", "nbc"))
    assert len(indices) >= 5 and len(kernels) >= 5
    indices[0].write_bytes(indices[0].read_bytes()[:20])
    kernels[0].write_bytes(b"")
    data = kernels[1].read_bytes()
    kernels[1].write_bytes(data[: len(data) // 2] + os.urandom(512) + data[len(data) // 2 + 512 :])
    assert begun(tmp_path) == "numba as usual True"
    assert len(kernels[0].read_bytes()) > 0
