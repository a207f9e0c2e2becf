import dataclasses

import numpy as np
import pytest

from app.ui.block_table import markdown, takeaway
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
    head, rule, *rows = markdown(BLOCKS).splitlines()
    assert head.startswith("| block | mean log det (nats) | certified L | largest ‖A‖ | largest ")
    assert rule == "| --: | --: | --: | --: | --: |"
    assert rows == [
        "| 1 | +0.120 | 0.970 | 0.500 | 0.400 |",
        "| 2 | \N{MINUS SIGN}0.346 | 0.970 | 0.250 | 0.250 |",
        "| 3 | +0.000 | 0.970 | 0.930 | 0.751 |",
    ]


def test_what_is_seen():
    assert takeaway(BLOCKS) == (
        "Block 2 squeezes the plane most, by 0.35 nats a point; block 3 is the steepest, with ‖A‖ = 0.93 where 0.97 is "
        "allowed."
    )
    spread = dataclasses.replace(BLOCKS, mean_log_det=np.array([0.12, 0.0, 0.0]))
    assert takeaway(spread).startswith("Block 1 spreads the plane most, by 0.12 nats a point")


@pytest.mark.parametrize(
    ("beyond", "column", "says"),
    [
        ([0.0, 0.0, 0.0], "0 %", "so the roulette's variance is finite at all of them."),
        ([0.0, 0.001, 0.25], "25 %", "In block 3, 25 % of the points have \N{GREEK SMALL LETTER RHO} > √q = 0.707: "),
        ([0.0, 0.001, 0.0], "0.1 %", "In block 2, 0.1 % of the points have"),
    ],
)
def test_where_the_roulette_has_infinite_variance(beyond, column, says):
    blocks = dataclasses.replace(BLOCKS, tail_ratio=0.5, beyond=np.array(beyond))
    assert f"| {column} |" in markdown(blocks)
    assert says in takeaway(blocks)
