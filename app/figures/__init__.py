"""Settled figures: arrays in, an Altair chart out, with its takeaway as `description`, which is the alt text."""
