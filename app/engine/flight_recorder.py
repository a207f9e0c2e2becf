"""What the training process works on, in memory that outlives it: the server reads it once the process is silent.

A message would be lost with the process, and would wake up the server at every piece of work.
"""

import mmap
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

_ID_BYTES = 40  # the id of an arm of a comparison has its number, too
_LAYOUT = struct.Struct(f"=QQ{_ID_BYTES}sH")


@dataclass(frozen=True)
class Entry:
    """The newest piece of work: its number, from 1 (0: none yet), the id of its run ("": of no run), and its step."""

    number: int
    run: str
    step: int


class FlightRecorder:
    """One entry in a file that two processes map. The server makes the file; the training process removes its name."""

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            with tempfile.NamedTemporaryFile(prefix="resflow-", delete=False) as file:
                file.write(bytes(_LAYOUT.size))
            path = Path(file.name)
        self.path = path
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _LAYOUT.size)
        self._number = 0

    def begin(self, run: str = "", step: int = 0) -> None:
        """A piece of work begins, for a run that has taken so many steps."""
        self._number += 1
        name = run.encode()[:_ID_BYTES]
        _LAYOUT.pack_into(self._memory, 0, self._number, step, name, len(name))

    def last(self) -> Entry:
        number, step, name, length = _LAYOUT.unpack_from(self._memory)
        return Entry(number, name[:length].decode(errors="replace"), step)

    def remove(self) -> None:
        """Take the file's name away; the memory stays until both processes let go of it."""
        self.path.unlink(missing_ok=True)
