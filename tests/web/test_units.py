"""The units of the modules below `app/web`, by Node's own runner."""

import pytest

from tests.web.node import HERE, node

UNITS = sorted(path.name for path in HERE.glob("*.test.js"))


@pytest.mark.parametrize("name", UNITS)
def test_units(name):
    node("--test", name)
