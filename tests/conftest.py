import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """As in the worker: a second thread only gets in the way of whatever else the machine does."""
    torch.set_num_threads(1)
