"""Training takes the steps that it took."""

import pytest

from tests.golden import losses
from tests.golden.stored import close, load

STORED = load(losses.NAME)["cases"]
FAST = {"preset small", "joint 1", "learned norms", "power iteration", "decay and clip"}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "label", [label if label in FAST else pytest.param(label, marks=pytest.mark.slow) for label in STORED]
)
def test_every_step_has_the_loss_that_it_had(label):
    case = STORED[label]
    found = losses.losses(case)
    assert len(found) == len(case["losses"])
    wrong = [
        f"step {k}: stored {before!r}, found {now!r}"
        for k, (before, now) in enumerate(zip(case["losses"], found, strict=True), 1)
        if not close(losses.tolerance(k))(before, now)
    ]
    assert not wrong, wrong[:5]


def test_everything_ready_made_is_stored():
    missing = {label for label, _ in losses.queries()} - STORED.keys()
    assert not missing, "python -m tests.golden.make --only losses"
