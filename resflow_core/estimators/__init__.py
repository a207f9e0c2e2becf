"""What the estimators of the log det do: their moments, their draws, and what goes wrong."""
