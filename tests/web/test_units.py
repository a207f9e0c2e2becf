"""The units of the modules below `app/web`, by Node's own runner, and the one rule that their linter has not got."""

import pytest

from tests.web.node import APP, HERE, node

UNITS = sorted(path.name for path in HERE.glob("*.test.js"))


@pytest.mark.parametrize("name", UNITS)
def test_units(name):
    node("--test", name)


def test_there_are_units():
    assert UNITS


def test_lines_are_short():
    long = [
        f"{path.relative_to(APP.parents[1])}:{number}"
        for path in [*APP.rglob("*.js"), *HERE.glob("*.js")]
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 120
    ]
    assert not long, "at most 120 columns"
