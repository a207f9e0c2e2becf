"""Flows trained for stored answers, as the pages train them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.local import LocalEngine
from app.engine.reports import ArmReport, LossCurves, State
from app.engine.training.backends import NUMBA, TORCH, Backends
from resflow_core.training import compilation

DEVICE = "cpu"
CURVES = ("held_step", "held_seconds", "held_nll", "held_se", "held_kl", "held_kl_se", "held_bias", "held_bias_se")


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


def kept_fit(arm: ArmReport, points: int) -> dict[str, Any]:
    """How well a flow fits, as it is stored: its step, its seconds, and its curves at no more than so many `points`.
    Raises RuntimeError where the losses were not measured."""
    if arm.loss is None:
        raise RuntimeError("The losses were not measured.")
    at = np.unique(np.linspace(0, len(arm.loss.held_step) - 1, points).round().astype(int))
    curves = {name: getattr(arm.loss, name) for name in CURVES}
    return {
        "step": arm.step,
        "seconds": arm.seconds,
        "curves": {name: values[at] if len(values) else values for name, values in curves.items()},
    }


def fit_report(kept: Mapping[str, Any], measured: Mapping[type, Any] | None = None) -> ArmReport:
    """What `kept_fit` stored, as the report of a flow that has just been trained; with what else was `measured`."""
    curves: dict[str, Any] = {
        name: np.array(values, np.int64 if name == "held_step" else np.float32)
        for name, values in kept["curves"].items()
    }
    empty: dict[str, Any] = {
        "step": np.empty(0, np.int64),
        "batch_nll": np.empty(0, np.float32),
        "orders": np.empty((0, 0, 0), np.float32),
    }
    return ArmReport(kept["step"], 0.0, kept["seconds"], loss=LossCurves(**curves, **empty), measured=measured or {})
