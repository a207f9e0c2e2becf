"""The values of the paper's files, sooner. Importing the package registers the implementation "fused"."""

from resflow_core.fast import fused_flow  # noqa: F401
