"""The packages register what a flow may be built of."""

from resflow_core import expressions, fast, norms  # noqa: F401
