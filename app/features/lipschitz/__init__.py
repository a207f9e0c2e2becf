"""The Lipschitz bench: an inverse that can be broken, what is certified, what a budget buys, and norms."""
