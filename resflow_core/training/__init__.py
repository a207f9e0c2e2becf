"""Training a flow, and what a step of it costs. Importing the package registers all that a flow may be built of."""

from resflow_core import expressions, fast, norms  # noqa: F401
