"""The engine in this process: how far a run gets in a poll does not depend on the machine."""

import time

import pytest

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.local import PLAY_STEPS, LocalEngine
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig, Trainer

ARM = Arm(FlowConfig(blocks=1, width=8), TrainConfig(batch=20), "moons")


@pytest.mark.parametrize("arms", [1, 3])
@pytest.mark.thorough
def test_each_poll_of_what_plays_takes_its_steps_also_where_a_step_takes_long(arms, monkeypatch):
    step = Trainer.step

    def slowly(self, *given, **named):
        time.sleep(0.02)
        return step(self, *given, **named)

    monkeypatch.setattr(Trainer, "step", slowly)
    engine = LocalEngine(finish_seconds=600.0)
    id = engine.create(Experiment((ARM,) * arms, 0))
    engine.play(id)
    for polls in (1, 2):
        report = engine.poll(id, ViewRequest(frames=False))
        assert min(arm.step for arm in report.arms) >= polls * PLAY_STEPS
