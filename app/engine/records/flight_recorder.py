"""What each run of a worker does, in memory that outlives the worker: the server reads it every second, and once the
worker has ended.

A message would be lost with the process, and would wake up the server at every step.
"""

import mmap
import struct
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

_LAYOUT = struct.Struct("=QQ?B46s")
_ID_BYTES = 46
PLACES = 1024
"""Runs that have a line at a time. Those beyond go without: a step of theirs that hangs is noticed by who looks."""


@dataclass(frozen=True)
class Entry:
    """The line of a run: how many signs of life it gave, whether it works, its id ("": the worker's own), and its
    step."""

    signs: int
    works: bool
    run: str
    step: int


class Line:
    """What one run writes, from its own thread."""

    def __init__(self, memory: "mmap.mmap | None", place: int, run: str) -> None:
        self._memory, self.place, self._name = memory, place, run.encode()[:_ID_BYTES]
        self._signs = self._step = 0
        self.rest()

    def begin(self, step: int) -> None:
        """Work begins, after so many steps."""
        self._step = step
        self._write(True)

    def beat(self) -> None:
        """A sign of life, between two parts of the work."""
        self._write(True)

    def rest(self) -> None:
        """Until it begins again, its silence is no sign of anything."""
        self._write(False)

    def _write(self, works: bool) -> None:
        self._signs += 1
        if self._memory is not None:
            name = self._name
            _LAYOUT.pack_into(self._memory, self.place * _LAYOUT.size, self._signs, self._step, works, len(name), name)


NO_LINE = Line(None, 0, "")


class FlightRecorder:
    """Lines in a file that two processes map. The server makes the file; the worker removes its name."""

    def __init__(self, path: Path | None = None) -> None:
        size = PLACES * _LAYOUT.size
        if path is None:
            with tempfile.NamedTemporaryFile(prefix="resflow-", delete=False) as file:
                file.write(bytes(size))
            path = Path(file.name)
        self.path = path
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), size)
        self._lock = threading.Lock()
        self._free = list(range(PLACES - 1, -1, -1))

    def line(self, run: str = "") -> Line:
        """The next free line, for a run; "": for the worker itself."""
        with self._lock:
            return Line(self._memory, self._free.pop(), run) if self._free else NO_LINE

    def free(self, line: Line) -> None:
        """The run has ended."""
        if line is NO_LINE:
            return
        with self._lock:
            place = line.place * _LAYOUT.size
            self._memory[place : place + _LAYOUT.size] = bytes(_LAYOUT.size)
            self._free.append(line.place)

    def entries(self) -> list[Entry]:
        """All lines that were written."""
        found = []
        for signs, step, works, length, name in _LAYOUT.iter_unpack(self._memory[:]):
            if signs:
                found.append(Entry(signs, works, name[:length].decode(errors="replace"), step))
        return found

    def remove(self) -> None:
        """Take the file's name away; the memory stays until both processes let go of it."""
        self.path.unlink(missing_ok=True)
