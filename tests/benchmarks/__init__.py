"""Measurements against peers. They print figures and fail only where they measured nothing: run one with
`python -m tests.benchmarks.NAME`."""
