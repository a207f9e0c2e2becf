"""Measure the stored answers anew.

    python -m app.evidence [--only NAME ...] [--small]

With --small a part of each is measured and compared with what its sentence says, and nothing is stored.
"""

import argparse
import time
from datetime import date

import torch

from app import screens
from app.evidence import EVIDENCE, path_of, store

assert screens.SCREENS  # they fill the registry


def main() -> int:
    """How many of their sentences do not follow."""
    parser = argparse.ArgumentParser(prog="app.evidence", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(EVIDENCE), metavar="NAME", default=list(EVIDENCE))
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)  # digits depend on it, and machines differ
    wrong = 0
    for name in args.only:
        start = time.monotonic()
        made = EVIDENCE[name].make(args.small)
        claims = EVIDENCE[name].claims(made.found)
        if not args.small:
            store(name, made, date.today().isoformat())
        kept = "a part" if args.small else f"{path_of(name).stat().st_size / 1024:.0f} kB"
        print(f"{name}: {time.monotonic() - start:.0f} s, {kept}", flush=True)
        for claim, holds in claims.items():
            print(f"  {'yes' if holds else 'NO '} {claim}", flush=True)
            wrong += not holds
    return wrong


if __name__ == "__main__":
    raise SystemExit(main())
