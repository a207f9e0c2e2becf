"""The Joint screen: one flow that generates and classifies, and what each costs the other."""
