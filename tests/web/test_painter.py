"""The browser's painter makes the points that Python makes of the same strokes, to the last digit."""

import json

import numpy as np

from app.components.painter import RULES
from app.drawing.points import PARTS, PER_UNIT, points_of
from app.drawing.strokes import BRUSHES, ERASER, REACH, SIDE, from_rows
from tests.web.node import node


def drawing(random):
    """Rows of some strokes of each kind and brush, also at the border of the plane, with erasers among them."""
    rows = []
    for _ in range(random.integers(1, 9)):
        kind = random.choice([0, 1, ERASER])
        ways = random.integers(-REACH, REACH + 1, (random.integers(1, 12), 2))
        dots = [random.integers(0, SIDE + 1, 2)]
        for way in ways:
            dots.append(np.clip(dots[-1] + way, 0, SIDE))
        rows.append([int(kind), int(random.integers(len(BRUSHES))), *np.ravel(dots).tolist()])
    return rows


def test_the_same_points_in_the_same_order():
    random = np.random.default_rng(0)
    drawings = [drawing(random) for _ in range(60)]
    told = json.dumps({"rules": RULES, "drawings": drawings}).encode()
    pictures = json.loads(node("painted.js", data=told))
    erased = 0
    for rows, picture in zip(drawings, pictures, strict=True):
        points, kinds = points_of(from_rows(rows))
        parts = np.rint(points * PER_UNIT).astype(int) + PARTS // 2
        assert [picture["x"], picture["y"]] == parts.T.tolist()
        assert picture["kind"] == kinds.tolist()
        erased += any(row[0] == ERASER for row in rows) and len(kinds) > 0
    assert erased > 10
