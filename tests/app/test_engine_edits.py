"""A block whose weights are changed by hand, in the engine: against a copy that is changed by hand."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch

from app.engine.training import views
from app.engine.training.measurements import edits
from app.engine.training.measurements.edits import EditsRequest
from app.engine.training.measurements.inversion import InversionRequest
from app.quantise import top_of
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.measure import Change, Edited
from resflow_core.measure.invertibility import Regime
from resflow_core.norms.constraints import Off
from tests.app.requests import measured, shorten_inversions, wanting
from tests.app.test_engine_job import ARM, VIEW_REQUEST, job_after
from tests.core.oracles import jacobians_of_rows

pytestmark = pytest.mark.thorough

EDITED = Edited(1, 1.0, (Change("weight", 0, 3, 3.0, 1), Change("bias", 1, 0, 0.4), Change("row", 1, 1, 2.0)))
OPENED = wanting(VIEW_REQUEST, {"edits": EditsRequest(1)}, edited=EDITED, points=10)
GRID = 12


@pytest.fixture(autouse=True)
def less_work(monkeypatch):
    monkeypatch.setattr(edits, "GRID", GRID)
    shorten_inversions(monkeypatch)


def changed_by_hand(flow):
    other = copy.deepcopy(flow)
    with torch.no_grad():
        first, second = other.blocks[1].branch.linears
        first.raw[3, 1], second.bias[0] = 3.0, 0.4
        second.raw[1] *= 2
    return other


def test_changed_weights_change_all_that_is_looked_at_and_nothing_that_trains():
    job = job_after(5)
    kept = {name: tensor.clone() for name, tensor in job.flow.state_dict().items()}
    flow, data = changed_by_hand(job.flow), DATASETS["moons"]
    found = measured(job, "edits", OPENED)
    x = measure.grid_points(data.window, GRID).double()
    jacobian = jacobians_of_rows(flow.double(), x)
    with torch.no_grad():
        z = flow(x).numpy()
    density = np.exp(-0.5 * (z**2).sum(1)) / (2 * np.pi) * np.abs(np.linalg.det(jacobian.numpy()))
    np.testing.assert_allclose(found.density.ravel(), density, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(found.trained, measure.density_grid(job.flow, data.window, GRID), rtol=1e-5)
    assert np.abs(found.density - found.trained).max() > 1e-3
    assert (found.step, found.edited, found.found.block) == (5, EDITED, 1)
    frame = job.frame(OPENED)
    drawn = measure.density_grid(changed_by_hand(job.flow), data.window, 16)
    np.testing.assert_array_equal(frame.density, drawn)
    assert len(frame.samples) == 10  # the constraint keeps the block invertible, whatever is asked for
    table = job.measure_held_out(OPENED)
    assert table.layer_norms[1].prod() <= 0.99 * (1 + 1e-5)
    inversion = measured(job, "inversion", wanting(OPENED, {"inversion": InversionRequest(1)}))
    np.testing.assert_allclose(inversion.found.image, found.found.after, atol=1e-9)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in job.flow.state_dict().items())


@pytest.mark.parametrize("edited", [Edited(1, 1.0, (Change("weight", 0, 99, 1.0),)), Edited(7, 1.0, EDITED.changes)])
def test_an_edit_of_what_is_not_there_changes_nothing(edited):
    job = job_after(1)
    demand = dataclasses.replace(OPENED, edited=edited)
    found = measured(job, "edits", demand)
    np.testing.assert_array_equal(found.density, found.trained)
    assert found.edited == edited
    inversion = measured(job, "inversion", wanting(demand, {"inversion": InversionRequest(1)}))
    # How arrays lie in memory decides how the last bit is rounded, on some processors.
    np.testing.assert_allclose(inversion.found.image, found.found.before, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("activation", ["sine", "softplus"])
def test_no_weight_breaks_the_picture(activation):
    """The largest that may be asked for, in layers that nothing constrains."""
    config = FlowConfig(blocks=2, width=8, hidden_layers=4, constraint=Off(), activation=activation)
    job = job_after(1, dataclasses.replace(ARM, flow=config))
    changes = [Change("row", layer, row, 20.0) for layer in range(5) for row in range(2)]
    changes += [
        Change("weight", layer, row, 100.0, column) for layer in range(5) for row in range(2) for column in (0, 1)
    ]
    demand = dataclasses.replace(OPENED, edited=Edited(1, 20.0, tuple(changes)))
    found = measured(job, "edits", demand)
    assert found.density.shape == (GRID, GRID) and np.isfinite(found.trained).all()
    frame = job.frame(demand)
    assert math.isfinite(top_of(frame.density)) and frame.refusal
    inversion = measured(job, "inversion", wanting(demand, {"inversion": InversionRequest(1)}))
    assert inversion.found.regime is not Regime.CERTIFIED
    job.measure_held_out(demand)


def test_what_is_pulled_is_answered_before_anything_else():
    assert min(views.DEPENDS).name == "edits"
    assert views.DEPENDS[min(views.DEPENDS)](OPENED) != views.DEPENDS[min(views.DEPENDS)](
        dataclasses.replace(OPENED, edited=None)
    )
