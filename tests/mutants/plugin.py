"""A plugin of pytest for `python -m tests.mutants`: what each test costs, which lines it reaches, when to stop.

What it is asked for stands in the environment, so that processes of pytest-xdist have it too:

- `MUTANTS_COSTS`: a file. A line of JSON is added for each test: its seconds, also of CPU time, and what failed.
- `MUTANTS_LINES`: anything. Lines are recorded by the test function that reaches them; needs `coverage run`.
- `MUTANTS_SCRIPTS`: a file. A line of JSON is added for each mutant of a script and each test that reaches it.
- `MUTANTS_CHOSEN`: a file with a JSON list of test functions. Others are left out. Files run in the order of the
  list, and stay together for the sake of their fixtures.
- `MUTANTS_KILLERS`: the number of failing test functions after which the run stops. Once there is one, it also stops
  after `PATIENCE` seconds: a bug that five tests notice may be reached by a thousand.

A test function is a test with all its cases. After a case has failed, the others of its function are left out.
"""

import json
import os
import time
from pathlib import Path

import pytest

COSTS, LINES, SCRIPTS, CHOSEN, KILLERS = (
    os.environ.get(f"MUTANTS_{name}", "") for name in ("COSTS", "LINES", "SCRIPTS", "CHOSEN", "KILLERS")
)
PATIENCE = 30
killers: dict[str, float] = {}  # when each failed
if SCRIPTS:
    from tests.mutants.scripts import Scripts

    scripts = Scripts(Path(SCRIPTS))


def function_of(test: str) -> str:
    """`tests/core/test_x.py::test_y[case]` without its case."""
    return test.split("[", 1)[0]


def file_of(test: str) -> str:
    return test.split("::", 1)[0]


def pytest_collection_modifyitems(config, items):
    if not CHOSEN:
        return
    chosen = json.loads(Path(CHOSEN).read_text())
    files = list(dict.fromkeys(file_of(name) for name in chosen))
    taken = [item for item in items if function_of(item.nodeid) in set(chosen)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(taken)])
    items[:] = sorted(taken, key=lambda item: files.index(file_of(item.nodeid)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    function = function_of(item.nodeid)
    if LINES:
        import coverage

        coverage.Coverage.current().switch_context(function)
    if SCRIPTS:
        scripts.test = item.nodeid
    begun, before = time.monotonic(), cpu_seconds()
    item.failed_parts = []
    yield
    if COSTS:
        cpu, seconds = cpu_seconds() - before, time.monotonic() - begun
        row = {"test": item.nodeid, "cpu": round(cpu, 3), "seconds": round(seconds, 3), "failed": item.failed_parts}
        with open(COSTS, "a") as file:
            file.write(json.dumps(row) + "\n")


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def pytest_runtest_setup(item):
    if KILLERS and function_of(item.nodeid) in killers:
        pytest.skip("another case has failed")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed:
        item.failed_parts.append(report.when)
        killers.setdefault(function_of(item.nodeid), time.monotonic())
    if KILLERS and (len(killers) >= int(KILLERS) or any(time.monotonic() > at + PATIENCE for at in killers.values())):
        item.session.shouldstop = f"{len(killers)} test functions failed"
