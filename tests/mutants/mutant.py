"""A mutant: one planted bug, as a piece of a file's text and what stands in its place."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Mutant:
    """The bug is `after` in place of `before`, which stands once in `file`; `wrong` says what goes wrong, for whom."""

    id: str
    file: str
    kind: str
    wrong: str
    before: str
    after: str

    def is_planted_in(self, text: str) -> str | None:
        """The text of the file with the bug in it; None where the code has changed so that it cannot be planted."""
        return text.replace(self.before, self.after) if text.count(self.before) == 1 else None

    def lines(self, root: Path = ROOT) -> set[int]:
        """The numbers of the lines that are changed, with those of the smallest statement around them."""
        text = (root / self.file).read_text()
        first = text[: text.index(self.before)].count("\n") + 1
        last = first + self.before.count("\n")
        changed = set(range(first, last + 1))
        if self.file.endswith(".py"):
            around = [
                (node.end_lineno - node.lineno, node)
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.stmt) and node.lineno <= first and last <= node.end_lineno
            ]
            smallest = min(around, key=lambda found: found[0], default=(0, None))[1]
            if smallest and not hasattr(smallest, "body"):
                changed |= set(range(smallest.lineno, smallest.end_lineno + 1))
        return changed


def read() -> list[Mutant]:
    """The mutants of all lists beside this file."""
    return [Mutant(**row) for path in sorted(HERE.glob("*.yaml")) for row in yaml.safe_load(path.read_text())]


def copied(to: Path) -> Path:
    """A copy of the checkout as it is now: what git tracks, and what is new."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    # Tests that look for the environment of the checkout find it.
    (to / ".venv").symlink_to(Path(sys.prefix))
    return to


@contextmanager
def planted(mutant: Mutant, folder: Path) -> Iterator[None]:
    """The bug in a copy of the checkout, and out of it again."""
    path = folder / mutant.file
    text = path.read_text()
    path.write_text(mutant.is_planted_in(text))
    try:
        yield
    finally:
        path.write_text(text)
