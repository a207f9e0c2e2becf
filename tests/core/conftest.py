"""The packages register what a flow may be built of."""

import pytest

from resflow_core import expressions, fast, norms  # noqa: F401
from resflow_core.training import compilation


@pytest.fixture(autouse=True, scope="session")
def kernels_are_kept():
    """Two test processes that compile them at once write over each other's, and then none count as kept."""
    compilation.keep()
