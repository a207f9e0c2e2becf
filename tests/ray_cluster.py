"""A cluster of Ray on this machine, of nodes with one CPU each, and nothing of it left behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.engine.cluster import connection as cluster


@contextmanager
def nodes(count: int) -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster`; the first node is its head."""
    cluster.prepare(cluster.LOCAL)
    import ray
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(count - 1):
            found.add_node(num_cpus=1)
        found.wait_for_nodes()
        yield found
    finally:
        ray.shutdown()
        found.shutdown()
