"""Reliability and ECE against NumPy, point by point, and against draws."""

import numpy as np
import pytest
import torch

from resflow_core.measure.reliability import reliability


def by_hand(confidence, correct, bins):
    """Guo et al.'s definition, a loop over bins (low, high]."""
    rows, ece = [], 0.0
    for b in range(bins):
        low, high = b / bins, (b + 1) / bins
        inside = (confidence > low) & (confidence <= high) | ((b == 0) & (confidence == 0))
        n = inside.sum()
        c, a = (confidence[inside].mean(), correct[inside].mean()) if n else (np.nan, np.nan)
        error = np.sqrt((confidence[inside] * (1 - confidence[inside])).sum()) / n if n else np.nan
        rows.append((n, c, a, error))
        ece += n / len(confidence) * abs(a - c) if n else 0.0
    return np.array(rows).T, ece


@pytest.mark.parametrize("bins", [1, 7])
def test_curve_and_error_are_those_of_the_definition(bins):
    rng = np.random.default_rng(bins)
    confidence, correct = rng.uniform(0.3, 1, 500), rng.random(500) < 0.7
    found = reliability(torch.tensor(confidence), torch.tensor(correct), bins)
    (counts, mean, accuracy, error), ece = by_hand(confidence, correct, bins)
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_allclose(found.confidence, mean)
    np.testing.assert_allclose(found.accuracy, accuracy)
    np.testing.assert_allclose(found.standard_error, error)
    assert found.ece == pytest.approx(ece)
    np.testing.assert_allclose(found.edges, np.arange(bins + 1) / bins)


def test_noise_is_the_ece_of_a_calibrated_classifier():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 400)
    drawn = [
        reliability(torch.tensor(confidence), torch.tensor(rng.random(400) < confidence)).ece for _ in range(1_000)
    ]
    noise = reliability(torch.tensor(confidence), torch.ones(400)).noise
    assert noise == pytest.approx(np.mean(drawn), rel=0.04)


@pytest.mark.parametrize("confidence", [[], [1.2], [float("nan")]])
def test_what_is_no_confidence_is_refused(confidence):
    with pytest.raises(ValueError, match="from 0 to 1"):
        reliability(torch.tensor(confidence), torch.ones(len(confidence)))
