"""The Stretch screen: a map of the plane, the density that it gives to x, and what is lost without the determinant."""
