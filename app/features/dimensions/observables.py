"""What lessons may ask of the stored bytes that a gradient of the log det needs."""

from app import evidence
from app.features.dimensions.evidence import MEMORY, read_memory
from app.lessons.observables import Observable

MEBIBYTE = 2**20


def _stored_memory(way: str) -> float:
    """Of the smallest batch that was measured, by the name of one of `GRADIENTS`."""
    found = read_memory(evidence.stored(MEMORY).found)
    return found[min(found)][way] / MEBIBYTE


STORED: dict[str, Observable] = {
    "stored_memory": Observable(
        "the stored peak memory of the log det by a way to differentiate it",
        lambda at, way: _stored_memory(way),
        "MiB",
        arguments=1,
    ),
}
