"""What computes a run: torch, or kernels that are compiled when the training process starts.

A run has one backend from its first step to its last, because another rounds differently, and its digits part.
"""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterable
from typing import Protocol

from app.engine.experiment import Arm
from resflow_core.data import Table
from resflow_core.flow import FlowConfig
from resflow_core.training import compilation

TORCH, NUMBA = "torch", "numba"
LOAD_SECONDS = 8.0
"""A run that began by kernels waits so long for them in a fresh process, which loads them in a second or two."""

log = logging.getLogger(__name__)


class Backends(Protocol):
    def of_new_run(self) -> str:
        """The backend of a run that takes its first step now."""
        ...

    def of_saved_run(self, backend: str) -> str:
        """That of a run which began with `backend`: the same, unless this machine has not got it (any more)."""
        ...


class TorchAlone:
    def of_new_run(self) -> str:
        return TORCH

    def of_saved_run(self, backend: str) -> str:
        return TORCH


TORCH_ALONE = TorchAlone()


def differ(arms: Iterable[Arm]) -> bool:
    """Whether some residual flows of a comparison would be computed by kernels, and others by torch, so that their
    seconds could not be compared: then torch computes all."""
    residual = [arm for arm in arms if isinstance(arm.flow, FlowConfig) and isinstance(arm.data, str | Table)]
    # Of one alone nothing is asked: that would load the kernels while the first page waits.
    return len(residual) > 1 and len({compilation.trains(arm.flow, arm.train) for arm in residual}) > 1


class CompiledWhenReady:
    """Kernels as soon as they are compiled and checked. One process compiles them, and others wait for it; meanwhile,
    and where they cannot be had, new runs are torch's."""

    def __init__(self) -> None:
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._prepare, name="kernels", daemon=True)
        self._thread.start()

    def of_new_run(self) -> str:
        return NUMBA if self._is_ready.is_set() else TORCH

    def of_saved_run(self, backend: str) -> str:
        if backend == NUMBA:
            self._thread.join(LOAD_SECONDS)
            return self.of_new_run()
        return TORCH

    def _prepare(self) -> None:
        try:
            if compilation.folder() and not compilation.are_kept():
                _compile_elsewhere()
            agreement = compilation.check()
        except ModuleNotFoundError as error:
            log.info("Torch computes alone: %s", error)
        except compilation.Disagrees as error:
            log.warning("%s", error)
        except Exception:  # of a compiler on a machine that nobody has tried
            log.exception("Kernels could not be compiled; torch computes alone")
        else:
            log.info("Kernels are ready (%s). Against torch: %s", compilation.fingerprint(NUMBA), agreement)
            self._is_ready.set()


def _compile_elsewhere() -> None:
    """In a process of its own, which runs go on beside."""
    command = [sys.executable, "-m", compilation.__name__]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        log.warning("The process that compiles kernels ended with %d; they are compiled here", done.returncode)
