"""Kernels before their first use on a machine: compiled by one process while others wait, and checked against torch.

    python -m resflow_core.training.compilation

They are kept where numba finds a writable folder: beside their files, else in the user's cache, or where
`NUMBA_CACHE_DIR` says. Where there is none, each process compiles for itself.
"""

import functools
import hashlib
import importlib
import os
import platform
import threading
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resflow_core.extras import extra
from resflow_core.fast import compiled
from resflow_core.flow import Flow, FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Exact, Roulette, Truncated, drawn
from resflow_core.training.flat_parameters import FlatParameters
from resflow_core.training.trainer import TrainConfig

TOLERANCE = 1e-4
"""Of the check: what single precision explains, several times over."""
POINTS = 300
ESTIMATORS = Truncated(), Roulette(), Roulette(gradient="plain", exact_traces=1), Roulette(exact_traces=2)
ESTIMATES = "estimates from A"
"""Earlier versions made them of vector-Jacobian products, and rounded otherwise."""


class Disagrees(RuntimeError):
    """Kernels and torch do not find the same on this machine."""


@dataclass(frozen=True)
class Agreement:
    """How far kernels are from torch, both in single precision."""

    loss: float  # in nats
    gradient: float  # relative, of the whole gradient
    log_prob: float  # the largest of some points, in nats
    round_trip: float  # the largest ||f(f^-1(z)) - z|| of some points

    def __str__(self) -> str:
        return (
            f"loss {self.loss:.1e} nats, gradient {self.gradient:.1e}, log p {self.log_prob:.1e} nats, "
            f"round trip {self.round_trip:.1e}"
        )


def check() -> Agreement:
    """Compile all kernels, or load them, and compare them with torch on flows of one and of two hidden layers.

    Raises `Disagrees` beyond `TOLERANCE`, and ModuleNotFoundError, with the remedy, without numba.
    """
    found = [_agreement(FlowConfig(blocks=3, width=7, hidden_layers=layers)) for layers in (1, 2)]
    worst = Agreement(*map(_worst, zip(*map(astuple, found), strict=True)))
    if not all(off < TOLERANCE for off in astuple(worst)):
        raise Disagrees(f"Kernels and torch disagree here: {worst}; {TOLERANCE:g} is allowed. Torch computes alone.")
    return worst


def _worst(offs: Sequence[float]) -> float:
    return float(torch.tensor(offs).max())  # NaN where one is


def _agreement(config: FlowConfig) -> Agreement:
    generator = torch.Generator().manual_seed(0)
    flow = Flow(config, generator)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    x = torch.randn(POINTS, 2, generator=generator)
    weights, log_dets = FlatParameters(flow), [Exact(), *(drawn(of, config.blocks, x, generator) for of in ESTIMATORS)]
    nll, losses, gradients = compiled.CompiledNLL(flow, *weights.stacked()), list[float](), list[float]()
    for log_det in log_dets:
        loss = -flow.log_prob(x, log_det, generator).mean()
        weights.differentiate(loss)
        expected = weights.gradient.clone()
        losses.append(abs(nll.of_parts([x], [log_det])[0] - loss.item()))
        gradients.append(float((weights.gradient - expected).norm() / expected.norm()))
    values = compiled.CompiledValues(flow)
    with torch.no_grad():
        log_prob = flow.log_prob(x)
        flow.kernels = values
        off = flow.log_prob(x) - log_prob
        flow.kernels = None
        there = values.inverse(flow, x, flow.lipschitz_bounds())
        back = torch.full_like(x, torch.inf) if there is None else flow(there) - x
    return Agreement(
        _worst(losses),
        _worst(gradients),
        _largest(off),
        _largest(back.norm(dim=1)),
    )


def _largest(numbers: Tensor) -> float:
    return float(numbers.abs().max())


def folder() -> Path | None:
    """Where compiled kernels are kept; None where no folder can be written to."""
    kept = _entries().KEPT
    return Path(kept) if kept else None


def are_kept() -> bool:
    """Whether they are kept already for this machine, byte for byte as they were compiled, and need not be compiled.
    Machine code that was damaged is not loaded to see what it does."""
    place = folder()
    if place is None or not _mark(place).exists():
        return False
    digests = dict(line.split(" ", 1)[::-1] for line in _mark(place).read_text().splitlines())
    return bool(digests) and digests.items() <= _digests(place).items()


def throw_away() -> None:
    """Let none be kept, nor be in the memory of this process, so that they are compiled and written anew."""
    if place := folder():
        for file in (_mark(place), *_files(place)):
            file.unlink(missing_ok=True)
    importlib.reload(_entries())


def keep() -> None:
    """Compile and check them, unless another process does; then wait for it. What is kept and was damaged is thrown
    away first. Raises as `check`."""
    place = folder()
    if place is None:
        check()
        return
    with extra("fast"):
        from filelock import FileLock
    with FileLock(place / "resflow-kernels.lock"):
        if not are_kept():
            throw_away()
            check()
            _mark(place).write_text("".join(f"{digest} {name}\n" for name, digest in _digests(place).items()))


def _files(place: Path) -> list[Path]:
    """Of the kernels: numba's index of each function, and machine code."""
    return sorted(file for file in place.glob(f"{_entries().__name__.rpartition('.')[2]}.*.nb[ci]"))


def _digests(place: Path) -> dict[str, str]:
    """Of machine code by the names of its files; an index grows where another kind of processor shares the folder."""
    code = (file for file in _files(place) if file.suffix == ".nbc")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in code}


def _mark(place: Path) -> Path:
    """A file that says that they are kept, for these sources, this numba and this processor."""
    return place / f"resflow-kernels-{_entries().SOURCES:08x}-{_numba()}-{_processor()}"


@functools.lru_cache(maxsize=256)
def trains(flow: Any, train: TrainConfig) -> bool:
    """Whether kernels take the steps of a flow, or of a hybrid's flow, with these settings; not without numba."""
    flow = flow.flow if isinstance(flow, HybridConfig) else flow
    if not isinstance(flow, FlowConfig) or not compiled.takes(train.log_det):
        return False
    small = replace(flow, blocks=1, width=2).build(torch.Generator().manual_seed(0))
    try:
        return compiled.evaluates(small)
    except ModuleNotFoundError:
        return False


def fingerprint(backend: str, flow: Any = None, train: TrainConfig | None = None, torch_until: int = 0) -> str:
    """What a run's digits depend on, beside its settings: "torch 2.9.0 AVX2, numba 0.62.1 znver3, 1 thread". In the
    plane, `ESTIMATES` says that a run by an estimate of the log det is not one of before. `torch_until`: a step until
    which torch alone computed it."""
    threads = torch.get_num_threads()
    parts = [f"torch {torch.__version__.partition('+')[0]} {torch.backends.cpu.get_cpu_capability()}"]
    parts += [f"{platform.machine()} to step {torch_until}"] * bool(torch_until)
    parts += [f"numba {_numba()} {_processor()}"] if backend == "numba" else [platform.machine()]
    if train and train.log_det != Exact() and isinstance(flow, FlowConfig | HybridConfig) and flow.dim == 2:
        parts += [ESTIMATES]
    return ", ".join([*parts, f"{threads} thread{'s' * (threads > 1)}"])


def _entries() -> Any:
    return compiled._kernel().entries


def _numba() -> str:
    with extra("fast"):
        import numba
    return numba.__version__


@functools.cache  # every report has it in its fingerprint
def _processor() -> str:
    with extra("fast"):
        from llvmlite import binding
    return binding.get_host_cpu_name()


def main() -> None:
    """Compile them where they are not kept yet, and say how far that is."""
    if hasattr(os, "nice"):
        os.nice(10)  # compiling takes half a minute of a processor, in which others shall train
    done = threading.Event()
    if (place := folder()) and not are_kept():
        threading.Thread(target=_tell, args=(place, done), daemon=True).start()
    keep()
    done.set()


def _tell(place: Path, done: threading.Event) -> None:
    """A line for each function of which numba has written down that it is compiled."""
    kernels, told = len(_entries().Entries._fields), -1
    while not done.wait(0.2):
        made = sum(file.suffix == ".nbi" for file in _files(place))
        if made != told:
            told = made
            print(f"Compiling kernels, once for this version: {made} of {kernels} ...", flush=True)


if __name__ == "__main__":
    try:
        main()
    except ModuleNotFoundError as error:
        print(f"Torch computes all: {error}")
