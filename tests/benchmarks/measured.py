"""What every benchmark says of its machine, and that it fails if it measured nothing: no table is made of nothing."""

import datetime
import math
import platform
import re
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import torch
from llvmlite import binding


def measured(rows: Iterable[Mapping[str, float | None]], what: str) -> None:
    """Raises SystemExit, with a message, where `what` has no rows, and where a number in one is missing, 0 or not
    finite.

    Each row maps names to numbers which are neither if anything was measured: steps, seconds, counts, divergences.
    """
    rows = list(rows)
    if not rows:
        raise SystemExit(f"{what}: nothing was measured, there is not one result.")
    for place, row in enumerate(rows, 1):
        if not row:
            raise SystemExit(f"{what}: nothing was measured in result {place} of {len(rows)}, it has no numbers.")
        for name, value in row.items():
            if value is None or not math.isfinite(value) or value == 0:
                raise SystemExit(
                    f"{what}: nothing was measured. {name} = {value} in result {place} of {len(rows)}; "
                    "a finite number other than 0 was expected."
                )


def cpu_seconds(process: int) -> float:
    """Of its own and of the kernel for it, by the clock that Linux has for each process (clock_getcpuclockid)."""
    return time.clock_gettime((~process << 3) | 2)


def children(process: int) -> list[int]:
    """The processes that it started and that run."""
    return [
        int(child)
        for thread in Path(f"/proc/{process}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]


def machine() -> str:
    """The day, the processor and what computes, for the head of a table."""
    libraries = " ".join(f"{name} {version(name)}" for name in ("torch", "numba"))
    return f"{datetime.date.today()}, {processor()}, Python {platform.python_version()}, {libraries}"


def processor() -> str:
    """Its name as the system has it, its microarchitecture and the vector instructions that torch uses."""
    described = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    names = re.findall(r"^model name\s*:\s*(.+)$", described, re.MULTILINE)
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name} ({binding.get_host_cpu_name()}, {torch.backends.cpu.get_cpu_capability()})"
