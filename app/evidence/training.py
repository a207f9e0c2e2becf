"""Flows trained for stored answers, as the pages train them."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from app.engine.backends import NUMBA, TORCH, Backends
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.local import LocalEngine
from app.engine.reports import ArmReport, State
from resflow_core.training import compilation

DEVICE = "cpu"


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch with one thread and no denormal numbers, as workers of the page have it: both cost time in small flows."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)


class Compiled:
    """Kernels, as on a page that is open for a while, or torch where there are none."""

    why_torch = ""

    def __init__(self) -> None:
        try:
            compilation.check()
            self._backend = NUMBA
        except ModuleNotFoundError:
            self._backend = TORCH

    def of_new_run(self) -> str:
        return self._backend

    def of_saved_run(self, backend: str) -> str:
        return self._backend


def trained(
    arms: Sequence[Arm], steps: int, request: ViewRequest, seed: int = 0, backends: Backends | None = None
) -> tuple[ArmReport, ...]:
    """The last reports of these arms after so many steps, with what was asked for. Raises RuntimeError where one of
    them could not be trained."""
    engine = LocalEngine(math.inf, backends or Compiled())
    run = engine.create(Experiment(tuple(arms), seed, DEVICE))
    engine.poll(run, request)
    engine.step(run, steps)
    report = engine.poll(run, request)
    if report.state is not State.PAUSED or any(arm.step != steps for arm in report.arms):
        raise RuntimeError(f"{report.state}, step {[arm.step for arm in report.arms]}: {report.message}")
    return report.arms


def backend_of(arms: Sequence[ArmReport]) -> str:
    """What computed them."""
    return "; ".join(dict.fromkeys(arm.fingerprint for arm in arms))
