"""RESULTS.md and killers.json, from what `run` has kept."""

import json

from tests.mutants.mutant import HERE, read
from tests.mutants.reach import FOLDER
from tests.mutants.run import KILLERS, known, rows

NAMES = ("before", "now")

HEAD = """# Planted bugs, and which tests notice them

Each mutant is one bug, planted alone. It is killed if a test that `make test` runs fails. They were written by readers
who saw the code without its tests, before the tests were cut: *before* is that state, *now* the present one. A run
stops once {killers} test functions have failed. The cheapest of them is named, with the seconds that all its cases
take together; `killers.json` has the others.

    python -m tests.mutants reach && python -m tests.mutants run && python -m tests.mutants table

{summary}

| mutant | what is wrong | before | now |
|---|---|---|---|
"""

Killers = dict[str, dict[str, dict[str, float]]]
"""By mutant and state, the seconds of each test function that killed it. None of them: it survived."""


def write() -> None:
    """Bring the two files up to date. A state that was not run here keeps what was stored of it."""
    stored, mutants = known(), read()
    found: Killers = {mutant.id: dict(stored.get(mutant.id, {})) for mutant in mutants}
    for name in NAMES:
        for row in rows(FOLDER / f"{name}.jsonl"):
            if row["verdict"] == "gone":
                found[row["id"]].pop(name, None)
            else:
                found[row["id"]][name] = row["killers"]
    (HERE / "killers.json").write_text(json.dumps(found, indent=1) + "\n")
    lines = [
        f"| {mutant.id}, {mutant.kind} | {mutant.wrong} `{mutant.file}` | "
        + " | ".join(_told(found[mutant.id].get(name)) for name in NAMES)
        + " |"
        for mutant in mutants
    ]
    summary = "; ".join(f"{name} {_counted(found, name)}" for name in NAMES)
    (HERE / "RESULTS.md").write_text(HEAD.format(killers=KILLERS, summary=summary) + "\n".join(lines) + "\n")


def _told(killers: dict[str, float] | None) -> str:
    if not killers:
        return "not run" if killers is None else "**survives**"
    cheapest = min(killers, key=killers.get)
    others = f" and {len(killers) - 1} more" if len(killers) > 1 else ""
    return f"{cheapest.removeprefix('tests/')} ({killers[cheapest]:.2g} s){others}"


def _counted(found: Killers, name: str) -> str:
    ran = [of_mutant[name] for of_mutant in found.values() if name in of_mutant]
    return f"{sum(map(bool, ran))} of {len(ran)} killed"
