"""The estimators of log det(I + A): their moments, their draws, and common bugs."""
