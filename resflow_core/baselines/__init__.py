"""Baselines: other kinds of normalizing flows, for comparison."""
