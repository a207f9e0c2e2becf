"""Measurements against peers. They print figures and assert none: run one with `python -m tests.benchmarks.NAME`."""
