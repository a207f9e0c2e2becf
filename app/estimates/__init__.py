"""The draws of an estimator: its settings, what was drawn, and maps of it. Lessons, session and screens share them."""
