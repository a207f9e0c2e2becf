"""Old files are read as they were, and new ones are written as the old ones are."""

import pytest

from tests.golden import files
from tests.golden.stored import close, differences, load

STORED = load(files.NAME)
RELATIVE = 1e-12


@pytest.fixture(scope="module")
def found():
    return files.found()


@pytest.mark.parametrize("name", STORED["flows"])
def test_a_flow_is_read_as_it_was(name, found):
    assert not differences(STORED["flows"][name], found["flows"][name], close(RELATIVE))


@pytest.mark.parametrize("name", STORED["progress"])
def test_progress_is_read_as_it_was(name, found):
    assert not differences(STORED["progress"][name], found["progress"][name])
