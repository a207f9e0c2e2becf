"""Runs that were dropped, from which their pages can still go on: settings and checkpoint, within a limit of memory."""

from app.engine.records.experiment_record import ExperimentRecord

MOST_BYTES = 32 * 2**20


class Dropped:
    """By their ids; of more than `most_bytes` of checkpoints those that were dropped first are forgotten."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._memos: dict[str, ExperimentRecord] = {}

    def __contains__(self, id: str) -> bool:
        return id in self._memos

    def get(self, id: str) -> ExperimentRecord | None:
        return self._memos.get(id)

    def put(self, id: str, memo: ExperimentRecord) -> None:
        self._memos[id] = memo
        while sum(memo.saved_bytes for memo in self._memos.values()) > self._most_bytes:
            del self._memos[next(iter(self._memos))]

    def pop(self, id: str) -> ExperimentRecord | None:
        return self._memos.pop(id, None)
