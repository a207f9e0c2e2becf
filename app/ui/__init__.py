"""Widgets, words and tables that several screens use."""
