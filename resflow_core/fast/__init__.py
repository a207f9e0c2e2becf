"""What computes the same as the paper's files in less time: all blocks as one function, the inverse in few steps, and
kernels for flows in the plane. Importing the package registers the first two."""

from resflow_core.fast import broyden, fused  # noqa: F401
