"""Runs of a benchmark in several processes."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any


def each(train: Callable[[Any], Any], jobs: Iterable[Any], processes: int, log: Path | None) -> list[Any]:
    """The results of `train(job)` of all jobs, a dataclass or a list of them each, printed in the order of the jobs.

    Each is also appended to the file `log`, one JSON object a line, without its arrays.
    """
    results = []
    with ProcessPoolExecutor(processes) as pool:
        for found in pool.map(train, jobs):
            for result in found if isinstance(found, list) else [found]:
                results.append(result)
                print(result, flush=True)
                if log:
                    with log.open("a") as file:
                        file.write(json.dumps(asdict(result), default=lambda _: None) + "\n")
    return results
