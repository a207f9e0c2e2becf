"""The words of the field: what `lessons/glossary.md` says of them, and links to it from any text."""

from app.ui.glossary.entries import Entry, entries, read
from app.ui.glossary.links import linked

__all__ = ["Entry", "entries", "linked", "read"]
