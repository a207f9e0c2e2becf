"""What is measured of all ways to differentiate: which places, in which pieces, and what is refused."""

import functools
import re
from dataclasses import astuple

import numpy as np
import pytest

from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS
from resflow_core.measure import LEAST_DRAWS, Cost, Footprint, Place, Survey, SurveyPlan, cost, footprint, subject
from resflow_core.measure.memory import work
from resflow_core.measure.survey import MOST_BYTES, MOST_WORK, NAIVE, NOTHING, Subjects, naive_work, too_much_work
from resflow_core.training.parameter_count import parameter_count
from tests.core.breathing import Breaths
from tests.core.oracles import seeded

PLAN = SurveyPlan(FlowConfig(blocks=2, width=8), batch=8, terms=3, draws=4)


@functools.cache
def results(plan, pieces=None):
    subjects = Subjects(plan)
    return tuple(subjects.piece(k) for k in range(plan.pieces if pieces is None else pieces))


@pytest.mark.thorough
def test_every_way_is_measured_at_the_same_places():
    survey = Survey(PLAN, results(PLAN))
    assert survey.complete and survey.step == PLAN.pieces
    sized = {(p.n, p.m) for p in survey.footprints if p.gradient}
    assert sized == {(1, 2), (2, 2), (3, 2), (3, 1)}
    for name in GRADIENTS:
        assert {(p.n, p.m) for p in survey.footprints if p.gradient == name} == sized
        assert {(p.n, p.m) for p in survey.costs if p.gradient == name} == {(1, 2), (2, 2), (3, 2)}
    assert {p.m for p in survey.footprints if p.gradient == NOTHING} == {1, 2}
    assert [p.m for p in survey.costs if p.gradient == NOTHING] == [2]


@pytest.mark.thorough
def test_results_are_those_of_the_core_whichever_piece_is_measured_first():
    survey, subjects = Survey(PLAN, results(PLAN)), Subjects(PLAN)
    places = list(enumerate([*PLAN.sized, *PLAN.timed]))
    for k, place in reversed(places[::2]):
        breathe = Breaths()
        found = subjects.piece(k, breathe)
        assert breathe.count
        flow, x = subject(FlowConfig(blocks=place.m, width=8), 8, seeded(0))
        if isinstance(found, Footprint):
            assert k < len(PLAN.sized)
            assert found == survey.footprints[place] == footprint(flow, x, place.log_det, seeded(1))
        else:
            expected = cost(flow, x, place.log_det, seeded(1), 4)
            for one in (found, survey.costs[place]):  # but for the times
                assert isinstance(one, Cost)
                np.testing.assert_equal(astuple(one.variance), astuple(expected.variance))


def test_of_what_is_known_in_part_the_rest_is_nan():
    survey = Survey(PLAN, results(PLAN, 3))
    assert not survey.complete and survey.step == 3 and not survey.costs
    known, unknown = (Place(name, 3, 2) for name in list(GRADIENTS)[:2])
    base = survey.footprints[Place(NOTHING, 0, 2)]
    assert survey.bytes_at(known, "peak", True) == survey.footprints[known].peak - base.peak > 0
    assert survey.bytes_at(known, "kept", False) == survey.footprints[known].kept
    assert np.isnan(survey.bytes_at(unknown, "peak", True))
    assert np.isnan(Survey(PLAN).bytes_at(known, "peak", False))


@pytest.mark.parametrize("how", [{}, {"activation": "cpila"}, {"hidden_layers": 3, "dim": 64}])
def test_the_work_of_all_blocks_and_terms_is_known_from_one_block(how):
    plan = SurveyPlan(FlowConfig(blocks=4, width=16, **how), batch=16, terms=7, draws=4)
    flow, x = subject(plan.flow, 16, seeded(0))
    real = work(flow, x, Place(NAIVE, 7, 4).log_det, seeded(1))
    assert real <= naive_work(plan) < 1.05 * real


def test_what_takes_too_much_memory_or_time_is_refused_with_value_limit_and_remedy():
    assert PLAN.problem is None and too_much_work(PLAN) is None
    wide = SurveyPlan(FlowConfig(dim=64, blocks=16, width=256), batch=256, terms=20, draws=8)
    need, most = map(int, re.findall(r"(\d+) MiB", wide.problem))
    assert need > most == MOST_BYTES >> 20 and "Lower terms" in wide.problem
    deep = SurveyPlan(FlowConfig(dim=64, blocks=16, width=256, hidden_layers=4), batch=8, terms=2, draws=32)
    need, most = map(int, re.findall(r"(\d+) MiB", deep.problem))
    assert need == round(32 * 4 * parameter_count(deep.flow) / 2**20) > most == MOST_BYTES >> 20
    assert "32 passes" in deep.problem and "Lower passes" in deep.problem
    slow = SurveyPlan(FlowConfig(blocks=16, width=8, activation="maxmin", hidden_layers=4), batch=8, terms=24, draws=8)
    assert slow.problem is None
    need, most = (int(number.replace(",", "")) for number in re.findall(r"\d[\d,]+", too_much_work(slow)))
    assert 0 <= need - naive_work(slow) < 1_000 and need > most == MOST_WORK and "Lower terms" in too_much_work(slow)


@pytest.mark.parametrize(("field", "value", "least"), [("batch", 1, 2), ("terms", 0, 1), ("draws", 2, LEAST_DRAWS)])
def test_numbers_that_are_too_small_are_refused(field, value, least):
    with pytest.raises(ValueError, match=f"{field} = {value}: use {least} or more"):
        SurveyPlan(**{"flow": PLAN.flow, "batch": 8, "terms": 3, "draws": 4, field: value})
