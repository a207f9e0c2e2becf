"""Guided lessons: what a file of `lessons/` says, as frozen values, and whether it is true. No widgets."""
