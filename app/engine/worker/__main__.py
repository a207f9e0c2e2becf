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
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from app.engine.clocks import Clocks, ServerTime
from app.engine.commands import Beat, Command
from app.engine.records.flight_recorder import FlightRecorder
from app.engine.training import threads
from app.engine.training.backends import CompiledWhenReady
from app.engine.training.gate import Gate
from app.engine.training.job_kinds import job_of
from app.engine.training.run import Run
from app.engine.worker import housekeeping
from app.engine.worker.floor import Floor

# The floor is looked at so often, and a sign of life is given.
LOOK_SECONDS = 0.1

WORKS = "resflow-trains"  # the process, once it was told to

Inbox = queue.SimpleQueue[Command | Beat | Run | None]

log = logging.getLogger(__name__)


def serve(commands: Inbox, say: Callable[[Any], None], recorder: FlightRecorder) -> None:
    """Pass commands to runs in this thread, until None comes, while each run goes on in its own. `say` is called from
    all. A run among the commands wants another thread."""
    threads.prepare()
    server_time, line = ServerTime(), recorder.line()
    floor = Floor(
        say,
        partial(begin, recorder=recorder, again=commands.put),
        Clocks(attendance=server_time),
        gate=Gate(cores()),
        new_job=partial(job_of, backends=CompiledWhenReady()),
        new_line=recorder.line,
    )

    looked = -LOOK_SECONDS
    while True:
        line.beat()
        with contextlib.suppress(queue.Empty):
            command = commands.get(timeout=LOOK_SECONDS)
            if command is None:
                break
            if isinstance(command, Run):
                begin(command, recorder, commands.put)
            elif isinstance(command, Beat):
                server_time.advance(command.seconds)
            else:
                floor.handle(command)
        if (now := time.monotonic()) - looked >= LOOK_SECONDS:
            looked = now
            floor.look_around()
    floor.end_all()


def begin(run: Run, recorder: FlightRecorder, again: Callable[[Run], None]) -> None:
    """Let a run go on by itself. The priority of its thread is that of the calling one."""
    threading.Thread(target=live, args=(run, recorder, again), name="run", daemon=True).start()


def live(run: Run, recorder: FlightRecorder, again: Callable[[Run], None]) -> None:
    """What the thread of a run does until it has ended. Where this thread ends before, `again` is told to `begin`
    another one: as soon as there is something to do for a run that is aside, since each thread that has computed holds
    more than a megabyte; and at once where steps were long and have become short, since the lower priority that it has
    for long ones cannot be taken back."""
    threads.prepare()
    is_lowered = False
    while not run.has_ended:
        seconds = run.turn()
        if run.is_aside and seconds:
            run.sleep(partial(again, run))
            housekeeping.HOUSE.flow_left()
            return
        run.wait(seconds)
        is_long = run.ticket.is_long and run.trained > 0
        if is_lowered and not is_long:
            again(run)
            return
        is_lowered = is_lowered or (is_long and threads.lower_priority())
    recorder.free(run.line)
    housekeeping.HOUSE.flow_left()


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def receive(stream: BinaryIO, commands: Inbox, begins: threading.Event) -> None:
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
    commands: Inbox = queue.SimpleQueue()
    begins, speaking = threading.Event(), threading.Lock()
    threading.Thread(target=receive, args=(sys.stdin.buffer, commands, begins), daemon=True).start()

    def say(message: Any) -> None:
        data = pickle.dumps(message)
        try:
            with speaking:
                reports.write(data)
                reports.flush()
        except BrokenPipeError:  # the server is gone
            os._exit(0)

    begins.wait()
    name_this_process(WORKS)
    serve(commands, say, recorder)


if __name__ == "__main__":
    main()
