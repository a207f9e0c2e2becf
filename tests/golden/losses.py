"""The loss of each step of training, in float32, of a few links and each way to train. `losses.json` has the links; a
new one is written there by hand, without losses."""

from typing import Any

import torch

from app.features.dimensions import digits
from resflow_core.data import DATASETS
from resflow_core.data.digits import DIGITS
from resflow_core.training.step_work import affords_exact_losses
from resflow_core.training.trainer import Trainer
from tests.golden.links import arms
from tests.golden.stored import load, save

NAME = "losses.json"
SEED = 3


def make() -> None:
    cases = {label: case | {"losses": losses(case)} for label, case in load(NAME)["cases"].items()}
    save(NAME, {"torch": torch.__version__, "cases": cases})


def losses(case: dict[str, Any]) -> list[float]:
    """What training says of each step, of one of the arms that a link trains."""
    arm = arms(case["link"])[case["arm"]]
    data = DIGITS if arm.data == digits.DATA else DATASETS[arm.data]
    trainer = Trainer(arm.flow, arm.train, data, SEED, exact_losses=affords_exact_losses(arm.flow))
    return [trainer.step() for _ in range(case["steps"])]
