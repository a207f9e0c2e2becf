"""The training process: `python -m app.engine.worker FLIGHT_RECORDER`. Commands come pickled on standard input, reports
go to output.

Pipes need no port and no password, nobody else can reach them, and they end with the server.
"""

import contextlib
import logging
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch

from app.engine import housekeeping
from app.engine.backends import CompiledWhenReady
from app.engine.clocks import ServerTime
from app.engine.commands import Beat, Command
from app.engine.flight_recorder import FlightRecorder
from app.engine.job_kinds import job_of
from app.engine.scheduler import Scheduler

# While there is nothing to do, a sign of life so often.
IDLE_SECONDS = 1.0

WORKS = "resflow-trains"  # the process, once it was told to

log = logging.getLogger(__name__)


def serve(
    commands: queue.SimpleQueue[Command | Beat], say: Callable[[list[Any]], None], recorder: FlightRecorder
) -> None:
    """Work for ever in this thread, and `say` what there is to say; sleep when there is nothing to do."""
    torch.set_num_threads(1)
    # Fresh branches start near zero and fill the products with denormals, which are slow.
    torch.set_flush_denormal(True)
    server_time = ServerTime()
    new_job = partial(job_of, backends=CompiledWhenReady())
    scheduler = Scheduler(attendance=server_time, note=recorder.begin, new_job=new_job)

    def take(command: Command | Beat) -> None:
        if isinstance(command, Beat):
            server_time.advance(command.seconds)
        else:
            scheduler.handle(command)

    while True:
        recorder.begin()
        if not scheduler.is_busy():
            with contextlib.suppress(queue.Empty):
                take(commands.get(timeout=IDLE_SECONDS))
        while not commands.empty():
            take(commands.get())
        say([*scheduler.exported(), *scheduler.tick()])


def receive(stream: BinaryIO, commands: queue.SimpleQueue[Command | Beat], begins: threading.Event) -> None:
    """Queue commands as they come, the first of which `begins` the work, and end the process with its server: nobody is
    left to train for."""
    try:
        while True:
            commands.put(pickle.load(stream))
            begins.set()
    except EOFError:
        os._exit(0)
    except Exception:
        log.exception("A command could not be read")
        os._exit(1)


def name_this_process(name: str) -> None:
    """As `top` and `ps -o comm` show it, where a system has such names: a spare process has another than one that
    works."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    # Ctrl-C in the terminal reaches the whole process group, and the server is the one to act on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A stray print must not get in between the reports.
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    housekeeping.start()
    recorder = FlightRecorder(Path(sys.argv[1]))
    recorder.remove()
    commands: queue.SimpleQueue[Command | Beat] = queue.SimpleQueue()
    begins = threading.Event()
    threading.Thread(target=receive, args=(sys.stdin.buffer, commands, begins), daemon=True).start()

    def say(messages: list[Any]) -> None:
        for message in messages:
            pickle.dump(message, reports)
        reports.flush()

    begins.wait()
    name_this_process(WORKS)
    try:
        serve(commands, say, recorder)
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
