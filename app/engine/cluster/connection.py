"""Training on a cluster of machines by Ray, an extra that is imported only here and in `actors`.

Ray's ports let whoever reaches them run any code. With the address "local" they are open to this machine alone. Others
belong into a private network.
"""

import os
from typing import TYPE_CHECKING, Any

from app.engine import worker_count
from app.engine.worker.process import ENVIRONMENT, ROOT
from resflow_core.extras import extra

if TYPE_CHECKING:
    from app.engine.cluster.actors import ClusterEngine

LOCAL = "local"
STORE_BYTES = 256 * 2**20
NOT_SENT = [".git", ".venv", ".*_cache", "__pycache__", "/tests", "/docs", "/app/screenshots"]  # beside .gitignore
# No statistics are sent to anybody, and processes without GPUs of their own see those that there are.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
# Ray's switch for systems whose firewalls ask about every open port: all that it starts listens to 127.0.0.1.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def join(address: str) -> Any:
    """Ray, connected to the cluster at this address.

    `LOCAL` starts a cluster of this machine, which ends with this process. Raises ValueError where Ray is not installed
    or no cluster answers.
    """
    prepare(address)
    try:
        with extra("ray"):
            import ray
    except ModuleNotFoundError as error:
        raise ValueError(f"CLUSTER = {address!r}: {error}.") from error
    how = {"include_dashboard": False, "object_store_memory": STORE_BYTES} if address == LOCAL else {"address": address}
    try:
        ray.init(namespace="resflow", runtime_env=code(address), **how)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        raise ValueError(
            f"CLUSTER = {address!r}: no Ray answers there ({error}). Use {LOCAL!r}, or the address that "
            "`ray start --head` prints, such as 10.0.0.1:6379."
        ) from error
    return ray


def connect(address: str, workers: str = "") -> "ClusterEngine":
    """The engine on the cluster at this address, with so many workers ("": one for each CPU of the cluster, but one of
    this machine, which the page needs). Raises ValueError as `join` does, and where `workers` is not a whole number
    from 1 to the CPUs of the cluster."""
    ray = join(address)
    from app.engine.cluster.actors import ClusterEngine

    most = int(ray.cluster_resources().get("CPU", 0))
    try:
        return ClusterEngine(worker_count(workers or str(max(1, most - (address == LOCAL))), most))
    except ValueError:
        ray.shutdown()
        raise


def prepare(address: str) -> None:
    """What Ray reads from the environment when it is imported."""
    os.environ |= QUIET | (LOOPBACK if address == LOCAL else {})


def code(address: str) -> dict[str, Any]:
    """What Ray's processes import: this very code, which other machines are sent."""
    environment = {**ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    if address == LOCAL:
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return {"env_vars": {**environment, "PYTHONPATH": paths}}
    return {"env_vars": environment, "working_dir": str(ROOT), "excludes": NOT_SENT}
