"""Norms other than the 2-norm, and other ways to constrain a layer. Importing the package registers them."""

from resflow_core.norms import constraints, norm_orders  # noqa: F401
