import dataclasses

import numpy as np
import pytest

from app.ui.block_table import Standouts, markdown, standouts, takeaway
from resflow_core.measure import BlockTable

BLOCKS = BlockTable(
    mean_log_det=np.array([0.12, -0.3456, 0.0]),
    mean_abs_log_det=0.5,
    lipschitz=np.array([0.97, 0.97, 0.97]),
    layer_norms=np.array([[0.98, 0.99], [0.5, 0.7], [0.98, 0.98]]),
    largest_norm=np.array([0.5, 0.25, 0.93]),
    steepest=np.zeros((3, 2, 2)),
    orders=np.full((3, 2), 2.0),
    breaking=np.array([np.inf, 4.0, 1.2]),
    spectral_radius=np.array([0.4, 0.25, 0.7512]),
)


def test_a_row_a_block_with_numbers_to_the_right():
    _, rule, *rows = markdown(BLOCKS).splitlines()
    assert rule == "| --: | --: | --: | --: | --: |"
    assert rows == [
        "| 1 | +0.120 | 0.970 | 0.500 | 0.400 |",
        "| 2 | \N{MINUS SIGN}0.346 | 0.970 | 0.250 | 0.250 |",
        "| 3 | +0.000 | 0.970 | 0.930 | 0.751 |",
    ]


def test_what_stands_out():
    assert standouts(BLOCKS) == Standouts(strongest=1, log_det=-0.3456, steepest=2, norm=0.93, bound=0.97)
    spread = standouts(dataclasses.replace(BLOCKS, mean_log_det=np.array([0.12, 0.0, 0.0])))
    assert (spread.strongest, spread.log_det) == (0, 0.12)


@pytest.mark.parametrize(
    ("beyond", "column", "worst", "finite"),
    [
        ([0.0, 0.0, 0.0], "0 %", 0, True),
        ([0.0, 0.001, 0.25], "25 %", 2, False),
        ([0.0, 0.001, 0.0], "0.1 %", 1, False),
    ],
)
def test_where_the_roulette_has_infinite_variance(beyond, column, worst, finite):
    blocks = dataclasses.replace(BLOCKS, tail_ratio=0.5, beyond=np.array(beyond))
    assert f"| {column} |" in markdown(blocks)
    found = standouts(blocks)
    assert (found.worst, found.beyond, found.finite_variance) == (worst, max(beyond), finite)
    assert found.limit == pytest.approx(0.7071, abs=1e-4)
    assert "0.707" in takeaway(standouts(blocks)) and (column in takeaway(standouts(blocks))) is not finite
