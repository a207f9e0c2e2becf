"""What the threads of runs do, each of one arm: steps, pictures and measurements.

`gate.py` decides which of them computes next.
"""
