import hypothesis
import pytest
import torch

# On a busy machine an example may take any time.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """As in the worker: a second thread only gets in the way of whatever else the machine does."""
    torch.set_num_threads(1)
