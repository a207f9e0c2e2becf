"""Densities, gradients, inverses and samples are what they were."""

import numpy as np
import pytest

from tests.golden import values

STORED = values.stored()
RELATIVE = 1e-12
TOLERANCES = {"samples": 1e-6, "data": 1e-5, "labelled": 1e-5}
"""Of the largest number of an array, where it is not 1e-12: what is drawn in float32 differs between processors."""


# More than 50: every activation, norm, constraint, estimator, family and data set is in one of them, at 0.03 s each.
@pytest.mark.parametrize("label", STORED)
def test_values_are_what_they_were(label):
    case, stored = STORED[label]
    found = values.values(case)
    assert found.keys() == stored.keys()
    for name, before in stored.items():
        if before is None or found[name] is None:
            assert before is found[name], f"{name}: {'not ' * (before is None)}refused before"
            continue
        most = np.abs(before[np.isfinite(before)]).max()
        tolerance = TOLERANCES.get(name, RELATIVE) * most
        np.testing.assert_allclose(found[name], before, rtol=RELATIVE, atol=tolerance, err_msg=name)
