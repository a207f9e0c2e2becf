"""Runs that were dropped, from which their pages can still go on: settings and checkpoint, within a limit of memory."""

from app.engine.records.experiment_record import ExperimentRecord

MOST_BYTES = 32 * 2**20


class Dropped:
    """By their ids; of more than `most_bytes` of checkpoints those that were dropped first are forgotten."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._records: dict[str, ExperimentRecord] = {}

    def __contains__(self, id: str) -> bool:
        return id in self._records

    def get(self, id: str) -> ExperimentRecord | None:
        return self._records.get(id)

    def put(self, id: str, record: ExperimentRecord) -> None:
        self._records[id] = record
        while sum(record.saved_bytes for record in self._records.values()) > self._most_bytes:
            del self._records[next(iter(self._records))]

    def pop(self, id: str) -> ExperimentRecord | None:
        return self._records.pop(id, None)
