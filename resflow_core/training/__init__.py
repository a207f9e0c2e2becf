"""Training a flow, and the cost of a step. Importing the package registers everything a flow can be built of."""

from resflow_core import branches, expressions, fast, norms  # noqa: F401
