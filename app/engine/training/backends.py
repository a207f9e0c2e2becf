"""What computes a run: torch, or kernels that are compiled when the training process starts.

A run has one backend from its first step on, because another rounds differently, and its digits part; unless somebody
lets kernels go on with what torch began (`commands.Hasten`).
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

    @property
    def why_torch(self) -> str:
        """Why torch computes a run now, though kernels could; "" where these are there, or nobody expects them."""
        ...


class TorchAlone:
    why_torch = ""

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


MADE_NOW = "the compiled kernels that usually do are still being made."
NOT_TO_BE_HAD = "the compiled kernels that usually do could not be made here. The log of the server says why."
BEGAN_SO = "it began before the compiled kernels that usually do were there. Now they are."


class CompiledWhenReady:
    """Kernels as soon as they are compiled and checked. One process compiles them, and others wait for it; meanwhile,
    and where they cannot be had, new runs are torch's. What is kept of an earlier start and does not load is thrown
    away, and compiled anew."""

    def __init__(self) -> None:
        self._is_ready = threading.Event()
        self.why_torch = MADE_NOW
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
            agreement = _checked()
        except ModuleNotFoundError as error:
            log.info("Torch computes alone: %s", error)
            self.why_torch = ""
        except compilation.Disagrees as error:
            log.warning("%s", error)
            self.why_torch = NOT_TO_BE_HAD
        except Exception:  # of a compiler on a machine that nobody has tried
            log.exception("Kernels could not be compiled; torch computes alone")
            self.why_torch = NOT_TO_BE_HAD
        else:
            log.info("Kernels are ready (%s). Against torch: %s", compilation.fingerprint(NUMBA), agreement)
            self.why_torch = ""
            self._is_ready.set()


def _checked() -> compilation.Agreement:
    if compilation.folder() and not compilation.are_kept():
        _compile_elsewhere()
    try:
        return compilation.check()
    except (ModuleNotFoundError, compilation.Disagrees):
        raise
    except Exception:
        log.warning("Kernels that were kept do not load; they are compiled anew", exc_info=True)
        compilation.throw_away()
        _compile_elsewhere()
        return compilation.check()


def _compile_elsewhere() -> None:
    """In a process of its own, which runs go on beside."""
    command = [sys.executable, "-m", compilation.__name__]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        log.warning("The process that compiles kernels ended with %d; they are compiled here", done.returncode)
