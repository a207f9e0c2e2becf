"""Kernels before their first use: kept once, by one process, wherever there is a place; checked against torch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
import torch

from resflow_core.fast import compiled
from resflow_core.fast.kernel import entries
from resflow_core.log_det import Drawn, Exact
from resflow_core.training import compilation
from resflow_core.training.compilation import Disagrees, check

ROOT = Path(__file__).resolve().parents[2]
SAYS = """
from resflow_core.training import compilation
print(compilation.folder(), compilation.are_kept(), compilation.check())
"""


def test_kernels_agree_with_torch_here():
    found = check()
    assert 0 <= max(found.loss, found.gradient, found.log_prob, found.round_trip) < 1e-5


@pytest.mark.parametrize("by", [Exact, Drawn])
@pytest.mark.parametrize("wrong", ["loss", "gradient"])
def test_kernels_that_compute_something_else_are_refused(wrong, by, monkeypatch):
    computed = compiled.CompiledNLL.of_parts

    def off(self, parts, log_dets):
        loss, nll = computed(self, parts, log_dets)
        if wrong == "gradient" and isinstance(log_dets[0], by):
            self._gradients["branch.linears.1.bias"].mul_(1.01)
        return loss * 1.01 if wrong == "loss" and isinstance(log_dets[0], by) else loss, nll

    monkeypatch.setattr(compiled.CompiledNLL, "of_parts", off)
    with pytest.raises(Disagrees, match="Torch computes alone"):
        check()


def test_so_are_those_whose_inverse_is_none(monkeypatch):
    inverse = compiled.CompiledValues.inverse
    monkeypatch.setattr(compiled.CompiledValues, "inverse", lambda *given: inverse(*given) + 1e-3)
    with pytest.raises(Disagrees):
        check()


def test_and_those_that_find_what_is_no_number(monkeypatch):
    monkeypatch.setattr(compiled.CompiledValues, "inverse", lambda *given: torch.full((300, 2), torch.nan))
    with pytest.raises(Disagrees):
        check()


def test_where_no_folder_can_be_written_to_they_are_compiled_in_memory(monkeypatch):
    made = entries.made

    def nowhere(sources, cache=True):
        if cache:
            raise RuntimeError("cannot cache function: no locator available for file")
        return made(sources, cache)

    monkeypatch.setattr(entries, "made", nowhere)
    found, kept = entries._kept()
    assert kept is None and found.gradients._cache.cache_path is None


def test_the_fingerprint_names_all_that_digits_depend_on(monkeypatch):
    found = compilation.fingerprint("numba")
    assert torch.__version__.partition("+")[0] in found and numba.__version__ in found
    assert numba.__version__ not in compilation.fingerprint("torch")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert compilation.fingerprint("numba") != found


@pytest.mark.slow
def test_of_several_processes_of_a_read_only_installation_one_compiles_for_the_users_cache(tmp_path):
    """Root may write everywhere, so the folder beside the kernels is a file."""
    core = tmp_path / "resflow_core"
    shutil.copytree(ROOT / "resflow_core", core, ignore=shutil.ignore_patterns("__pycache__"))
    (core / "fast" / "kernel" / "__pycache__").write_text("in the way")
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    command, told = [sys.executable, "-m", "resflow_core.training.compilation"], {"NUMBA_DEBUG_CACHE": "1"}
    several = [
        subprocess.Popen(command, cwd=tmp_path, env=environment | told, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate()[0] for process in several]
    assert [process.returncode for process in several] == [0, 0, 0]
    assert sum("data saved to" in text for text in said) == 1
    asked = subprocess.run(
        [sys.executable, "-c", SAYS], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    folder, kept, *_ = asked.stdout.split()
    assert Path(folder).is_relative_to(home) and kept == "True"
