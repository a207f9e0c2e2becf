"""Which test functions reach a place of the code, and what each costs: measured once, with coverage.py."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from functools import cached_property
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.plugin import file_of, function_of

FOLDER = ROOT / "build" / "mutants"
PARTS = {
    "core": ["tests/core", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").glob("test_*.py"))],
    "app": ["tests/app", "tests/golden"],
}
BROWSER = "tests/browser"

SEEN_THROUGH = {"resflow_core/fast/kernel/": "resflow_core/fast/kernel/", "lessons/": "app/lessons/"}
"""What no line of Python tells: the inside of compiled kernels, and the texts of lessons. All tests that reach one of
the files at the right may reach it."""


def measure() -> None:
    """Run all tests of Python in two processes, and those of the browser; keep lines, costs and scripts."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    runs = [_browser()]
    for name, tests in PARTS.items():
        command = ["-m", "coverage", "run", f"--data-file={FOLDER / name}.coverage", "--source=app,resflow_core"]
        runs.append(_pytest(command, tests, name, MUTANTS_LINES="1"))
    for run in runs:
        run.wait()


def _browser() -> subprocess.Popen:
    (FOLDER / "scripts.jsonl").unlink(missing_ok=True)
    return _pytest([], [BROWSER], "browser", MUTANTS_SCRIPTS=str(FOLDER / "scripts.jsonl"))


def _pytest(before: list[str], tests: list[str], name: str, **environment: str) -> subprocess.Popen:
    costs = FOLDER / f"costs-{name}.jsonl"
    costs.unlink(missing_ok=True)
    with (FOLDER / f"{name}.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, *before, "-m", "pytest", "-q", "-p", "tests.mutants.plugin", "-m", "not slow", *tests],
            cwd=ROOT,
            env=os.environ | environment | {"MUTANTS_COSTS": str(costs)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


class Reached:
    """What was measured, read."""

    @cached_property
    def costs(self) -> dict[str, float]:
        """Seconds of each test function, all cases together."""
        found: dict[str, float] = defaultdict(float)
        for path in sorted(FOLDER.glob("costs-*.jsonl")):
            for line in path.read_text().splitlines():
                row = json.loads(line)
                found[function_of(row["test"])] += row["seconds"]
        return found

    @cached_property
    def lines(self) -> dict[str, dict[int, set[str]]]:
        """Of each file of the code, by line, the test functions that reach it."""
        import coverage

        found: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for name in PARTS:
            path = FOLDER / f"{name}.coverage"
            if not path.exists():
                raise FileNotFoundError(f"{path} is not there yet: run `python -m tests.mutants reach` first.")
            data = coverage.CoverageData(str(path))
            data.read()
            for measured in data.measured_files():
                file = Path(measured).relative_to(ROOT).as_posix()
                for line, tests in data.contexts_by_lineno(measured).items():
                    found[file][line] |= {test for test in tests if "::" in test}
        return found

    @cached_property
    def scripts(self) -> dict[str, set[str]]:
        """Of each mutant of a script, the tests in the browser that reach it."""
        found: dict[str, set[str]] = defaultdict(set)
        for line in (FOLDER / "scripts.jsonl").read_text().splitlines():
            row = json.loads(line)
            found[row["mutant"]].add(function_of(row["test"]))
        return found

    def by_python(self, mutant: Mutant) -> list[str]:
        """The test functions that may notice the mutant: first those of a file of its name, then of the cheapest files.

        They reach its line. What is executed at import is reached by none: then they reach its file or, failing that,
        its folder.
        """
        if mutant.file.endswith(".js"):
            return []
        prefix = next((seen for place, seen in SEEN_THROUGH.items() if mutant.file.startswith(place)), None)
        if prefix:
            return self.ordered(self._of_files(prefix), mutant)
        of_lines = self.lines.get(mutant.file, {})
        tests = set().union(*(of_lines.get(line, set()) for line in mutant.lines()))
        tests = tests or self._of_files(mutant.file) or self._of_files(str(Path(mutant.file).parent))
        return self.ordered(tests, mutant)

    def by_browser(self, mutant: Mutant) -> list[str]:
        """The tests in the browser that reach its script, or all of them for what the server does."""
        if mutant.file.endswith(".js"):
            return self.ordered(self.scripts[mutant.id], mutant)
        return self.ordered({test for test in self.costs if test.startswith(BROWSER)}, mutant)

    def _of_files(self, prefix: str) -> set[str]:
        files = [of_lines for file, of_lines in self.lines.items() if file.startswith(prefix)]
        return set().union(*(tests for of_lines in files for tests in of_lines.values()))

    def ordered(self, tests: set[str], mutant: Mutant) -> list[str]:
        of_file: dict[str, float] = defaultdict(float)
        for test in tests:
            of_file[file_of(test)] += self.costs[test]
        name = Path(mutant.file).stem
        return sorted(tests, key=lambda test: (name not in file_of(test), of_file[file_of(test)], test))
