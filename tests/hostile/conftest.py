"""The real app, in a process of its own, for all attacks that one server must stand."""

from pathlib import Path

import pytest

import app.screens  # noqa: F401  # it fills the registries
from tests.served import app_served


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with app_served(tmp_path_factory.mktemp("server") / "log") as served:
        yield served


def pytest_collection_modifyitems(items):
    """Attacks take long, all of them; the longest begins first, so that nothing waits for its end."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.path.name != "test_soak.py")
