"""Other networks inside a block than the paper's, and other activations. Importing the package registers them."""

from resflow_core.branches import activations, dense  # noqa: F401
