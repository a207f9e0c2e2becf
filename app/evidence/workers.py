"""The same function of several arguments at the same time: in processes of this machine, or on a cluster."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any


def each(work: Callable[..., Any], calls: Sequence[tuple[Any, ...]], workers: int, cluster: str = "") -> Iterator[Any]:
    """`work(*call)` for each call, as they come. `cluster` is as for `app.engine.cluster.join`; there each call has a
    CPU. Raises ValueError where `workers` is less than 1, or no cluster is at this address."""
    if workers < 1:
        raise ValueError(f"workers = {workers}: use a whole number from 1.")
    if cluster:
        yield from _on_cluster(work, calls, cluster)
    elif workers == 1:
        yield from (work(*call) for call in calls)
    else:
        # Fresh processes: a copy of this one would share the state of its threads.
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            for one in as_completed([pool.submit(work, *call) for call in calls]):
                yield one.result()


def _on_cluster(work: Callable[..., Any], calls: Sequence[tuple[Any, ...]], address: str) -> Iterator[Any]:
    from app.engine.cluster.connection import join

    ray = join(address)
    try:
        task = ray.remote(num_cpus=1)(_done)
        waiting = [task.remote(work, call) for call in calls]
        while waiting:
            (done, *_), waiting = ray.wait(waiting)
            yield ray.get(done)
    finally:
        ray.shutdown()


def _done(work: Callable[..., Any], call: tuple[Any, ...]) -> Any:
    return work(*call)
