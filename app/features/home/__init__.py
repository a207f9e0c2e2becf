"""The home page: a picture that moves, and doors to the screens."""
