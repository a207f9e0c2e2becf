"""Densities, gradients, inverses and samples are what they were."""

from itertools import combinations, product

import numpy as np
import pytest

from tests.golden import values

STORED = values.stored()
RELATIVE = 1e-12
SLOW = {"data 2spirals", "data swissroll"}  # whose entropy is an integral over the plane


@pytest.mark.thorough
@pytest.mark.parametrize(
    "label", [pytest.param(label, marks=pytest.mark.slow) if label in SLOW else label for label in STORED]
)
def test_values_are_what_they_were(label):
    case, stored = STORED[label]
    found = values.values(case)
    assert found.keys() == stored.keys()
    for name, before in stored.items():
        if before is None or found[name] is None:
            assert before is found[name], f"{name}: {'not ' * (before is None)}refused before"
            continue
        most = np.abs(before[np.isfinite(before)]).max()
        tolerance = values.TOLERANCES.get(name, RELATIVE) * most
        np.testing.assert_allclose(found[name], before, rtol=RELATIVE, atol=tolerance, err_msg=name)


def test_levels_that_are_to_meet_do_so_in_a_stored_case():
    cases = [case for label, (case, _) in STORED.items() if label.startswith("cover ")]
    met = set().union(*(values.meetings(_levels(case)) for case in cases))
    levels = {name: [(name, str(one)) for one in known] for name, known in values.factors().items()}
    levels["kind"] = [("kind", name) for name in {one["log_det"] for one in values.ESTIMATORS.values()}]
    for a, b in combinations(levels, 2):
        for x, y in product(levels[a], levels[b]) if values.counts(a, b) and (b != "kind" or a == "activation") else ():
            assert frozenset((x, y)) in met or _cannot_meet(x, y), (x, y)


def _levels(case):
    """A case as the levels of its factors."""
    link = case["link"]
    estimator = next(name for name, one in values.ESTIMATORS.items() if one == values.estimator_in(link))
    found = {name: link.get(name, link.get(f"log_det.{name}", case.get(name))) for name in values.factors()}
    found["estimator"] = estimator
    return {name: level for name, level in found.items() if level is not None}


def _cannot_meet(x, y):
    (name, level), (other, _) = (x, y) if x[0] == "estimator" else (y, x)
    return name == "estimator" and other in values.BRANCHING and other not in values.settings_of(level)
