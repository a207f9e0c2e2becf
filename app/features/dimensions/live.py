"""The stored measurement of memory, live."""

from dataclasses import replace

from app import session
from app.features.dimensions.evidence import BLOCKS, HIGH, MEMORY, TERMS, WIDTH, memory_flow
from app.features.dimensions.memory import memory
from app.features.dimensions.memory.settings import Memory
from app.features.dimensions.settings import Dimensions
from app.ui import live_runs


def weigh() -> None:
    """The flow of the stored bars, for its smallest batch."""
    flow, setup = memory_flow(), session.setup()
    page = replace(setup.flow, activation=flow.activation, budget=flow.budget)
    session.use(setup.source if isinstance(setup.source, str) else setup.data, page, setup.train)
    session.show_bench(Memory(dim=str(HIGH), blocks=BLOCKS, terms=TERMS, width=WIDTH))
    session.show_bench(replace(session.bench(Dimensions), view="memory"))
    memory.start_soon()


RUNS: live_runs.Starts = {MEMORY: weigh}
