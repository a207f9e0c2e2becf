"""`python -m tests.golden.make [--only NAME ...]`: the stored files, made again by the code as it is."""

import argparse
import time
from collections.abc import Sequence

import torch

from tests.golden import files, lessons, links, losses, screens, values

MAKERS = {
    "files": files.make,
    "links": links.make,
    "values": values.make,
    "losses": losses.make,
    "lessons": lessons.make,
    "screens": screens.make,
}
"""In this order: links need some of the files."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m tests.golden.make", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MAKERS, default=list(MAKERS), help="which of them")
    torch.set_num_threads(1)  # as in the tests and in the engine's worker
    for name in parser.parse_args(arguments).only:
        begun = time.process_time()
        MAKERS[name]()
        print(f"{name}: {time.process_time() - begun:.1f} s of CPU time", flush=True)


if __name__ == "__main__":
    main()
