"""One draw of the estimator, piece by piece, and draws as the rows of a staircase whose columns are the terms: one
Streamlit component. It moves only where motion is welcome; every piece can be called by a key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.components.component import component

__all__ = ["staircase"]

_HERE = Path(__file__).parent
_staircase = component(
    "resflow_staircase",
    "staircase/staircase.js",
    html=(_HERE / "staircase.html").read_text(encoding="utf-8"),
    css=(_HERE / "staircase.css").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def staircase(data: Mapping[str, Any], *, key: str) -> None:
    """Mount it, or hand it what it shows now (`app.features.estimator.staircase_view`)."""
    _staircase(data=data, key=key)
