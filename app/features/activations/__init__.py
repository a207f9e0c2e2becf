"""The activation bench: curves and their criteria, what saturates inside a flow, and what follows from it."""
