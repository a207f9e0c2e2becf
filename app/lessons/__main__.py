"""`python -m app.lessons check [file ...]`: whether lessons can be read and come true. Without files: all of them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

import app.screens  # noqa: F401  # what lessons may ask, and of which screens
from app.lessons.player import problems
from app.lessons.raw import Wrong
from app.lessons.reading import read, read_demonstration
from app.lessons.shelf import DEMONSTRATION, FOLDER, shelf


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 where all is well."""
    parser = argparse.ArgumentParser("python -m app.lessons", description=__doc__)
    parser.add_argument("command", choices=["check"])
    parser.add_argument("files", nargs="*", type=Path, help="such as lessons/04-series.md")
    parser.add_argument("--quick", action="store_true", help="only read them, without acting out the solutions")
    chosen = parser.parse_intermixed_args(arguments)
    files = chosen.files or [*sorted(FOLDER.glob("[0-9]*.md")), DEMONSTRATION]
    found = 0
    for path in files:
        try:
            lesson = read_demonstration(path) if path.name == DEMONSTRATION.name else read(path)
        except (Wrong, OSError) as error:
            print(error, file=sys.stderr)
            found += 1
            continue
        said = [] if chosen.quick else list(problems(lesson))
        found += len(said)
        print(f"{path.name}: {lesson.title}: {'wrong' if said else 'well'}")
        for problem in said:
            print(f"{path.name}:{problem}", file=sys.stderr)
    if not chosen.files:
        for about in shelf().problems:
            print(about, file=sys.stderr)
            found += 1
    return min(found, 1)


if __name__ == "__main__":
    torch.set_num_threads(1)  # as in the engine's worker: for tensors of this size a second one is in the way
    sys.exit(main())
