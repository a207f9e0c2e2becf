"""One arm at work: a trainer, its losses and its pictures. Whoever owns it decides when each is worth its time."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace

from app.engine.frames import STILL_GRID_POINTS, density_pieces, render
from app.engine.history import History
from app.engine.messages import Arm, Demand, Frame, LossCurves
from resflow_core import measure
from resflow_core.datasets import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.training import TrainConfig, Trainer, step_bytes

# Each setting has its own limit; together they could still ask for more than the machine has.
MOST_STEP_BYTES = 2 * 2**30


class Job:
    """Raises ValueError, naming value, limit and remedy, when `arm` does not describe a flow that can be trained."""

    def __init__(self, arm: Arm, seed: int, clock: Callable[[], float]):
        if isinstance(arm.data, str) and arm.data not in DATASETS:
            raise ValueError(f"data = {arm.data!r}: use one of {', '.join(DATASETS)}.")
        # Unpickling skipped the checks of both configurations; replace() makes them.
        flow, train = replace(arm.flow), replace(arm.train)
        _check_memory(flow, train)
        dataset = DATASETS[arm.data] if isinstance(arm.data, str) else arm.data
        self._trainer = Trainer(flow, train, dataset, seed)
        self._clock = clock
        self._history = History()
        self.seconds = 0.0

    @property
    def step_count(self) -> int:
        return self._trainer.step_count

    @property
    def device(self) -> str:
        return str(self._trainer.device)

    def configure(self, train_config: TrainConfig) -> None:
        """Train with these settings from the next step on. Raises ValueError."""
        train = replace(train_config)
        _check_memory(self._trainer.flow_config, train)
        self._trainer.configure(train)

    def step(self) -> None:
        """One optimiser step. Raises `Diverged`."""
        start = self._clock()
        nll = self._trainer.step()
        self.seconds += self._clock() - start
        self._history.add_batch(self.step_count, nll)

    def measure_held_out(self) -> None:
        held_out = self._trainer.dataset.held_out()
        self._history.add_held_out(self.step_count, measure.mean_nll(self._trainer.flow, held_out))

    def curves(self) -> LossCurves:
        return self._history.curves()

    def frame(self, demand: Demand, *, with_samples: bool) -> Frame:
        density = measure.density_grid(self._trainer.flow, self._trainer.dataset.window, demand.grid)
        return render(self._trainer, self.seconds, density, demand.points, with_samples=with_samples)

    def still(self, demand: Demand) -> Iterator[Frame | None]:
        """The sharp picture in pieces: None after each, the frame at the end. Void once the job takes a step."""
        for density in density_pieces(self._trainer, demand.still_grid):
            if density is None:
                yield None
            else:
                yield render(
                    self._trainer,
                    self.seconds,
                    density,
                    demand.points,
                    with_samples=True,
                    grid_points=STILL_GRID_POINTS,
                )

    def save(self) -> bytes:
        return pickle.dumps((self._trainer.state_bytes(), self.seconds, self._history))

    def restore(self, saved: bytes) -> None:
        """Go on from what `save` returned, with the settings as they are now."""
        state, self.seconds, self._history = pickle.loads(saved)
        self._trainer.load_state(state)


def _check_memory(flow: FlowConfig, train: TrainConfig) -> None:
    if (needed := step_bytes(flow, train)) > MOST_STEP_BYTES:
        raise ValueError(
            f"One step would need about {needed / 2**30:.0f} GiB of memory; {MOST_STEP_BYTES / 2**30:.0f} are allowed. "
            "Lower the batch, the probes, the blocks or the width, or let the series have fewer terms."
        )
