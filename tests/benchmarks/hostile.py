"""What visitors can send to hold the server: CSV files of 64 KiB and of the largest size, and formulas.

CPU time of the thread that answers: reading a file, all that a page asks of it, and a table of two of its columns; a
formula from its text to its certified constant, or why it is refused.

    python -m tests.benchmarks.hostile [--formulas 2700] [--seed 0]
"""

import argparse
import statistics
import time
from collections.abc import Iterable

import torch

from app.csv_file import MOST_BYTES
from resflow_core import expressions
from tests.benchmarks.measured import measured
from tests.hostile.csv_files import ATTACKS, answered
from tests.hostile.formulas import hostile

SHORT, LENGTH, LARGEST = 2**15, 2**16, MOST_BYTES - 2**15
ALLOWED_FILE, ALLOWED_FORMULA = 0.5, 1.0
"""Seconds for a file of 64 KiB, and for a formula."""
SHOWN = 5
TRIES = 2
LEAST_SECONDS = 0.002
"""Shorter times say nothing of growth."""

Measured = tuple[float, str]


def seconds(data: bytes) -> float:
    """The CPU time of this thread in which a file is answered."""
    began = time.thread_time()
    answered(data)
    return time.thread_time() - began


def of_files(length: int) -> list[Measured]:
    return [(min(seconds(attack(length)) for _ in range(TRIES)), name) for name, attack in ATTACKS.items()]


def certified(text: str) -> str:
    """Not from the cache that `expressions.read` has."""
    try:
        return f"constant {expressions._certified(text).lipschitz:.4g}"
    except ValueError:
        return "refused"


def of_formulas(texts: Iterable[tuple[str, str]]) -> list[Measured]:
    found = []
    for kind, text in texts:
        began = time.thread_time()
        said = certified(" ".join(text.translate(expressions.ALIKE).split()))
        found.append((time.thread_time() - began, f"{kind}: `{text[:60]}{'…' * (len(text) > 60)}`, {said}"))
    return found


def table(title: str, found: list[Measured]) -> None:
    print(f"\n| {title} | CPU seconds |\n|---|---|")
    for taken, name in sorted(found, reverse=True)[:SHOWN]:
        print(f"| {name} | {taken:.3f} |")
    print(f"| median of all {len(found):,} | {statistics.median(taken for taken, _ in found):.3f} |")


def verdict(what: str, found: list[Measured], allowed: float) -> None:
    worst = max(found)[0]
    print(f"- {'Reached' if worst <= allowed else 'Missed'}: {what} takes {worst:.2f} s; {allowed:g} s are allowed.")


def growth(shorter: list[Measured], longer: list[Measured]) -> list[Measured]:
    """Of what takes long enough to be measured."""
    before = {name: taken for taken, name in shorter}
    return [(taken / before[name], name) for taken, name in longer if before[name] >= LEAST_SECONDS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formulas", type=int, default=2_700)
    parser.add_argument("--seed", type=int, default=0, help="of the formulas")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    certified("tanh(z)")  # what is loaded or computed once
    files = {length: of_files(length) for length in (SHORT, LENGTH, LARGEST)}
    formulas = of_formulas(hostile(arguments.formulas, arguments.seed))
    for length, found in files.items():
        measured(({f"seconds of {name}": taken} for taken, name in found), f"files of {length:,} bytes")
    measured(({f"seconds of {name}": taken} for taken, name in formulas), "formulas")
    table("files of 64 KiB", files[LENGTH])
    table("files of the largest size, 2 MiB", files[LARGEST])
    table("formulas", formulas)
    print()
    verdict("the worst file of 64 KiB", files[LENGTH], ALLOWED_FILE)
    verdict("the worst formula", formulas, ALLOWED_FORMULA)
    for factor, name in sorted(growth(files[SHORT], files[LENGTH]))[-1:]:
        print(f"- From 32 to 64 KiB the time grows {factor:.2f}-fold at most ({name}).")
    print(f"- All formulas took {sum(taken for taken, _ in formulas):.0f} s together.")


if __name__ == "__main__":
    main()
