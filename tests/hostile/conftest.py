"""The real app, in a process of its own, for all attacks that one server must stand."""

from pathlib import Path

import pytest

import app.screens  # noqa: F401  # it fills the registries
from tests.served import app_served


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with app_served(tmp_path_factory.mktemp("server") / "log") as served:
        yield served


IN_PROCESS = {"test_csv.py", "test_files.py", "test_formulas.py", "test_names.py", "test_texts.py"}
"""What is asked of functions and not of a server: `make test` runs it."""


def pytest_collection_modifyitems(items):
    """Attacks on a server take long, all of them."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.path.name not in IN_PROCESS:
            item.add_marker(pytest.mark.slow)
