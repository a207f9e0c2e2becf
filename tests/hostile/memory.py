"""The memory of a server and of its training process."""

from pathlib import Path

from tests.served import Server


def resident_mib(server: Server) -> tuple[float, float]:
    """Of the server and of the training process."""
    return tuple(_resident_mib(pid) for pid in (server.process.pid, *server.worker_pids()))


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))
