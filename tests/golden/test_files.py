"""Old files are read as they were, and new ones are written as the old ones are."""

import pytest

from tests.golden import files
from tests.golden.stored import close, differences, load

STORED = load(files.NAME)
FOUND = files.found()
RELATIVE = 1e-12


@pytest.mark.parametrize("name", STORED["flows"])
def test_a_flow_is_read_as_it_was(name):
    stored, found = (files.with_numbers(one["flows"][name]) for one in (STORED, FOUND))
    assert not differences(stored, found, close(RELATIVE))


@pytest.mark.parametrize("name", STORED["progress"])
def test_progress_is_read_as_it_was(name):
    assert not differences(STORED["progress"][name], FOUND["progress"][name])


def test_files_of_every_kind_are_stored():
    assert STORED.keys() == FOUND.keys()
    assert all(STORED[part].keys() == FOUND[part].keys() for part in STORED)
    flows = STORED["flows"].values()
    assert {one.get("refused", False) for one in flows} == {True, False}
    assert {one["dim"] for one in flows} >= {1, 2, 4, 64}
    read = [one for one in flows if "settings" in one]
    assert {one["again"] for one in read} == {True, False}  # the first files are written in full
    assert any(one["notes"] for one in read)
