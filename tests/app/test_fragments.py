"""What the clock calls goes through `app.ui.fragments`. That its calls say nothing of widgets is tested in the browser,
which has the clock."""

import ast
from pathlib import Path

APP = Path(__file__).parents[2] / "app"


def test_what_a_clock_calls_is_polled():
    clocks = set()
    for path in APP.rglob("*.py"):
        source = path.read_text()
        asked = {
            (call.func.attr, keyword.arg)
            for call in ast.walk(ast.parse(source) if "run_every" in source else ast.Module([], []))
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
            for keyword in call.keywords
        }
        clocks |= {path.relative_to(APP).as_posix()} if ("fragment", "run_every") in asked else set()
    assert clocks == {"ui/fragments.py"}, "use app.ui.fragments.polled"
