import pytest
import torch

from app import engine
from app.engine.local import LocalEngine


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """As in the worker: a second thread only gets in the way of whatever else the machine does."""
    torch.set_num_threads(1)


@pytest.fixture
def local_engine(monkeypatch):
    """The engine of this process in place of the worker's, for pages under AppTest."""
    local = LocalEngine()
    monkeypatch.setattr(engine, "get_engine", lambda: local)
    return local
