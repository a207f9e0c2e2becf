"""Other networks inside a block than the paper's. Importing the package registers them, and their fast versions."""

from resflow_core.branches import dense, fast_dense  # noqa: F401
