"""A plane to paint on: one Streamlit component with spray, eraser and two colours, for mouse, pen, finger and keys.

What is painted is sent when the brush is lifted: `st.session_state[key]` has
then `strokes`, rows of whole numbers (`app.drawing.strokes.from_rows`), for one run of the script. The density that a
live picture on the page shows is drawn under the points.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from app.components.component import component
from app.drawing import FEWEST_ROWS, MOST_ROWS, NAMES, points, strokes

__all__ = ["paint"]

_HERE = Path(__file__).parent


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


_painter = component(
    "resflow_painter",
    "painter/painter.js",
    html=_read("painter.html"),
    css=_read("painter.css"),
    isolate_styles=False,
)

RULES: dict[str, Any] = {
    "side": strokes.SIDE,
    "shares": strokes.SHARES,
    "reach": strokes.REACH,
    "brushes": strokes.BRUSHES,
    "eraser": strokes.ERASER,
    "classes": strokes.CLASSES,
    "parts": points.PARTS,
    "perUnit": points.PER_UNIT,
    "cell": points.CELL,
    "leastEraser": points.LEAST_ERASER,
    "fewest": FEWEST_ROWS,
    "most": MOST_ROWS,
    "mostDots": strokes.MOST_DOTS,
    "mostSprayed": strokes.MOST_SPRAYED,
    "names": NAMES,
}
"""What strokes become, and their limits: the browser keeps to the same."""


def paint(
    canvas: str,
    rows: Sequence[Sequence[int]],
    problem: str,
    *,
    key: str,
    on_strokes: Callable[[], None],
    on_done: Callable[[], None],
) -> None:
    """Mount the plane `canvas` with these strokes on it; one that is mounted keeps its own. `problem` is what is wrong
    with what it has sent. `on_strokes` is called when the brush was lifted, `on_done` when the plane is put down."""
    drawn = {"canvas": canvas, "strokes": rows, "problem": problem, "rules": RULES}
    _painter(data=drawn, key=key, on_strokes_change=on_strokes, on_done_change=on_done)
