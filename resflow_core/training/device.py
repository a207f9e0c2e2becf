"""The device on which a flow trains: CPU or GPU, by the time of a step. Small flows are faster on the CPU."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from resflow_core.data import Source
from resflow_core.training.step_work import affords_exact_losses
from resflow_core.training.trainer import AnyConfig, TrainConfig, Trainer

WARM_STEPS, TIMED_STEPS = 3, 7


@dataclass(frozen=True)
class Choice:
    """A device as torch names it, and the reason for it, in words that can follow its name."""

    device: str
    reason: str


def step_seconds(device: str, flow: AnyConfig, train: TrainConfig, dataset: Source) -> float:
    """The median time of `TIMED_STEPS` training steps on a device, in seconds, after `WARM_STEPS` others.

    Raises ValueError as `Trainer`, and `Diverged` if a step fails.
    """
    trainer = Trainer(flow, train, dataset, seed=0, device=device, exact_losses=affords_exact_losses(flow))
    times = []
    for _ in range(WARM_STEPS + TIMED_STEPS):
        start = time.perf_counter()
        # It returns a number, so it waits for the GPU, except for the weights' update. The next step waits for that.
        trainer.step()
        times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_STEPS:])


def _auto(flow: AnyConfig, train: TrainConfig, dataset: Source) -> Choice:
    if not torch.cuda.is_available():
        return Choice("cpu", "there is no GPU that torch can use")
    seconds = {device: step_seconds(device, flow, train, dataset) for device in ("cpu", "cuda")}
    fastest = min(seconds, key=seconds.get)
    return Choice(fastest, f"a step takes {1e3 * seconds['cpu']:.1f} ms on CPU, {1e3 * seconds['cuda']:.1f} ms on CUDA")


def _cpu(flow: AnyConfig, train: TrainConfig, dataset: Source) -> Choice:
    return Choice("cpu", "it was asked for")


def _cuda(flow: AnyConfig, train: TrainConfig, dataset: Source) -> Choice:
    if not torch.cuda.is_available():
        raise ValueError("device = 'cuda': there is no GPU that torch can use; choose auto or cpu.")
    return Choice("cuda", "it was asked for")


@dataclass(frozen=True)
class Device:
    """A way to choose a device, and its title for people."""

    title: str
    choose: Callable[[AnyConfig, TrainConfig, Source], Choice]


DEVICES = {"auto": Device("Auto", _auto), "cpu": Device("CPU", _cpu), "cuda": Device("CUDA", _cuda)}


def choose(device: str, flow: AnyConfig, train: TrainConfig, dataset: Source) -> Choice:
    """The device to train on. `auto` times a few steps on CPU and GPU, if there is one, and takes the faster.

    Raises ValueError for a device that is unknown or absent.
    """
    if device not in DEVICES:
        raise ValueError(f"device = {device!r}: use one of {', '.join(DEVICES)}.")
    return DEVICES[device].choose(flow, train, dataset)
