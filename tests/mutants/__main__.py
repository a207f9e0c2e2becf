"""Mutation testing: bugs are planted one by one, and the tests must notice them.

    python -m tests.mutants reach            which tests reach which lines: an hour of CPU time, once before `run`
    python -m tests.mutants run              all mutants that have no result yet; can be stopped and goes on
    python -m tests.mutants run ID ...       some of them, again
    python -m tests.mutants control          what kills mutants must pass without one
    python -m tests.mutants table            RESULTS.md from what was kept

It needs coverage.py. Measurements and results are kept in `build/mutants/`; `--name` tells several states of the tests
apart. The mutants were written by readers of the code who had not seen the tests. If the code around a mutant changes,
write it anew at the same place; `run` calls such mutants "gone".
"""

import argparse

from tests.mutants import reach, run, table
from tests.mutants.mutant import read


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["reach", "run", "control", "table"])
    parser.add_argument("ids", nargs="*")
    parser.add_argument("--name", default="now", help="of the state of the tests that is measured")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-browser", action="store_true", help="leave out the tests in the browser")
    arguments = parser.parse_intermixed_args()
    if arguments.action == "reach":
        reach.measure()
    elif arguments.action == "run":
        kept = reach.FOLDER / f"{arguments.name}.jsonl"
        done = {row["id"] for row in run.rows(kept)}
        mutants = [m for m in read() if (m.id in arguments.ids if arguments.ids else m.id not in done)]
        if not mutants:
            raise SystemExit(f"Nothing to run: unknown names, or all done. To begin anew, remove {reach.FOLDER}.")
        run.run(mutants, kept, arguments.jobs, not arguments.no_browser)
    elif arguments.action == "control":
        if failed := run.control():
            raise SystemExit(f"These fail without a mutant, and count for nothing: {', '.join(failed)}")
    else:
        table.write()


if __name__ == "__main__":
    main()
