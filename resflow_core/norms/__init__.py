"""Norms other than the 2-norm, in which layers are constrained."""
