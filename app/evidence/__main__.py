"""Measure the stored answers anew.

    python -m app.evidence [--only NAME ...] [--small] [--workers N] [--cluster ADDRESS]

With --small a part of each is measured and compared with what its sentence says, and nothing is stored. Several are
measured at the same time by N processes, or by all CPUs of a cluster of Ray. Their digits are the same. Times are then
those of a busy machine.
"""

import argparse
import time
from datetime import date

import torch

from app import screens
from app.evidence import EVIDENCE, Made, path_of, store
from app.evidence.workers import each

assert screens.SCREENS  # they fill the registry


def main() -> int:
    """How many of their sentences do not follow."""
    parser = argparse.ArgumentParser(prog="app.evidence", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(EVIDENCE), metavar="NAME", default=list(EVIDENCE))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cluster", default="")
    args = parser.parse_args()
    wrong = 0
    calls = [(name, args.small) for name in args.only]
    for name, made, seconds in each(measured, calls, args.workers, args.cluster):
        claims = EVIDENCE[name].claims(made.found)
        if not args.small:
            store(name, made, date.today().isoformat())
        kept = "a part" if args.small else f"{path_of(name).stat().st_size / 1024:.0f} kB"
        print(f"{name}: {seconds:.0f} s, {kept}", flush=True)
        for claim, holds in claims.items():
            print(f"  {'yes' if holds else 'NO '} {claim}", flush=True)
            wrong += not holds
    return wrong


def measured(name: str, small: bool) -> tuple[str, Made, float]:
    """The answer of this name, and the seconds that it took."""
    torch.set_num_threads(1)  # digits depend on it, and machines differ
    start = time.monotonic()
    return name, EVIDENCE[name].make(small), time.monotonic() - start


if __name__ == "__main__":
    raise SystemExit(main())
