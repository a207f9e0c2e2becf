import pytest

from app import engine
from app.engine.local import LocalEngine


@pytest.fixture
def local_engine(monkeypatch):
    """The engine of this process in place of the worker's, for pages under AppTest."""
    local = LocalEngine()
    monkeypatch.setattr(engine, "get_engine", lambda: local)
    return local
