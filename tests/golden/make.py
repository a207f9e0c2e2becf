"""`python -m tests.golden.make [--only NAME ...]`: the stored files, made again by the code as it is."""

import argparse
from collections.abc import Sequence

import torch

from tests.golden import files, lessons, links, losses, values

MAKERS = {
    "files": files.make,
    "links": links.make,
    "values": values.make,
    "losses": losses.make,
    "lessons": lessons.make,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m tests.golden.make", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MAKERS, default=list(MAKERS), help="which of them")
    torch.set_num_threads(1)  # as in the tests and in the engine's worker
    for name in parser.parse_args(arguments).only:
        MAKERS[name]()


if __name__ == "__main__":
    main()
