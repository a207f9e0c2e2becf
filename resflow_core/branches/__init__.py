"""Other networks inside a block than the paper's. Importing the package registers them."""

from resflow_core.branches import dense  # noqa: F401
