"""The estimator's bench: its settings, and the numbers behind its views. No widgets, no pictures."""
