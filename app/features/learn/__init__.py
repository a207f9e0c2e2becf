"""Lessons on the page: the panel that lies beside a screen, and the list of all."""
