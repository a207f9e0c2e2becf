"""What the clock calls, and what is clicked, goes through `app.ui.fragments`. That a click counts once beside a clock's
call is tested in the browser, which has the clock."""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app"
IDEMPOTENT = {APP / "features" / "dimensions" / "memory" / "memory.py"}  # what is clicked there may be done twice


@pytest.mark.parametrize("path", sorted(APP.rglob("*.py")), ids=lambda path: str(path.relative_to(APP)))
def test_no_button_counts_twice(path):
    asked = {
        (call.func.attr, keyword.arg)
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        for keyword in call.keywords
    }
    if path != APP / "ui" / "fragments.py":
        assert ("button", "on_click") not in asked, "use app.ui.fragments.button"
        assert path in IDEMPOTENT or ("fragment", "run_every") not in asked, "use app.ui.fragments.polled"
