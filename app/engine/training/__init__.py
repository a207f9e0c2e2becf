"""What the thread of a run does: steps, pictures and measurements of one arm."""
