"""Other kinds of normalizing flows, to compare with."""
