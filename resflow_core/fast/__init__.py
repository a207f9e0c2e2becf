"""What computes the same as the paper's files in less time: all blocks as one function, and kernels for flows in the
plane. Importing the package registers the first."""

from resflow_core.fast import fused  # noqa: F401
