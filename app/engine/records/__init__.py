"""What is remembered of runs: by their server, by a worker for its server, and what experiments are compared by."""
