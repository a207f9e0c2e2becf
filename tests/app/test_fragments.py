"""What the clock calls goes through `app.ui.fragments`. That its calls say nothing of widgets is tested in the browser,
which has the clock."""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app"


@pytest.mark.parametrize("path", sorted(APP.rglob("*.py")), ids=lambda path: str(path.relative_to(APP)))
def test_what_a_clock_calls_is_polled(path):
    asked = {
        (call.func.attr, keyword.arg)
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        for keyword in call.keywords
    }
    if path != APP / "ui" / "fragments.py":
        assert ("fragment", "run_every") not in asked, "use app.ui.fragments.polled"
