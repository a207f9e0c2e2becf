"""Plants one bug after the other, in copies of the checkout, and keeps which tests noticed it."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.mutants.mutant import HERE, Mutant, copied, planted
from tests.mutants.plugin import file_of, function_of
from tests.mutants.reach import Reached

KILLERS = 5
"""Failing test functions after which a mutant is not run further."""

NO_TESTS = 5
"""How pytest ends if it has found none of the tests."""

SECONDS = 300
"""A test that takes longer hangs: that is noticed as well."""


def run(mutants: list[Mutant], kept: Path, jobs: int = 2, browser: bool = True) -> None:
    """Run mutants, and add a row of each to `kept` as it ends."""
    reached, killed = Reached(), known()
    copies: queue.SimpleQueue[Path] = queue.SimpleQueue()

    def one(mutant: Mutant) -> dict:
        copy = copies.get()
        try:
            earlier = [test for of_state in killed.get(mutant.id, {}).values() for test in of_state]
            return result(mutant, copy, reached, earlier, browser)
        finally:
            copies.put(copy)

    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        for k in range(jobs):
            copies.put(copied(Path(folder) / str(k)))
        waiting = [pool.submit(one, mutant) for mutant in mutants]
        try:
            for ended in as_completed(waiting):
                row = ended.result()
                with kept.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(f"{row['id']}: {row['verdict']} by {len(row['killers'])}, {row['seconds']} s", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def control() -> list[str]:
    """The test functions that kill mutants now, and fail without one as well: none may."""
    killers = sorted({test for of_mutant in known().values() for test in of_mutant.get("now", {})})
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder) / "checkout")
        return failing([test for test in killers if (copy / file_of(test)).exists()], copy)


def rows(kept: Path) -> list[dict]:
    return [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []


def known() -> dict[str, dict[str, dict[str, float]]]:
    """By mutant and state of the tests, what killed it there, with seconds: `killers.json`."""
    path = HERE / "killers.json"
    return json.loads(path.read_text()) if path.exists() else {}


def result(mutant: Mutant, copy: Path, reached: Reached, earlier: list[str], browser: bool) -> dict:
    """What became of one mutant: "killed", "survived", or "gone" where it cannot be planted any more.

    What killed it earlier is asked first, then all tests of Python that reach it. The browser is asked last, about
    scripts and about what no test of Python has noticed.
    """
    begun = time.monotonic()
    path = copy / mutant.file
    if not path.exists() or mutant.is_planted_in(path.read_text()) is None:
        return {"id": mutant.id, "verdict": "gone", "killers": {}, "tried": 0, "seconds": 0}
    asked = [lambda: earlier, lambda: reached.by_python(mutant), lambda: reached.by_browser(mutant) if browser else []]
    killers: list[str] = []
    tried = 0
    with planted(mutant, copy):
        for tests in asked:
            if not killers and (chosen := [test for test in tests() if (copy / file_of(test)).exists()]):
                tried += len(chosen)
                killers = failing(chosen, copy)
    return {
        "id": mutant.id,
        "verdict": "killed" if killers else "survived",
        "killers": {test: round(reached.costs.get(test, 0.0), 3) for test in killers},
        "tried": tried,
        "seconds": round(time.monotonic() - begun),
    }


def failing(tests: list[str], copy: Path) -> list[str]:
    """The first test functions that fail, at most `KILLERS`; that a run ends without a verdict is one, too."""
    with tempfile.TemporaryDirectory() as folder:
        chosen, costs = Path(folder) / "chosen.json", Path(folder) / "costs.jsonl"
        chosen.write_text(json.dumps(tests))
        costs.touch()
        names = {"MUTANTS_CHOSEN": str(chosen), "MUTANTS_COSTS": str(costs), "MUTANTS_KILLERS": str(KILLERS)}
        files = dict.fromkeys(map(file_of, tests))
        options = ["-q", "--tb=no", "-p", "tests.mutants.plugin", "-m", "not slow"]
        command = [sys.executable, "-m", "pytest", *options, *files]
        process = subprocess.Popen(
            command, cwd=copy, env=os.environ | names, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None:
            time.sleep(0.2)
            if time.time() - costs.stat().st_mtime > SECONDS:
                process.kill()
                process.wait()
                return ["(hangs)"]
        found = [function_of(row["test"]) for row in map(json.loads, costs.read_text().splitlines()) if row["failed"]]
        if not found and process.returncode not in (0, NO_TESTS):
            return [f"(ends with {process.returncode})"]
        return list(dict.fromkeys(found))
