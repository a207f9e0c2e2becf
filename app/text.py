"""Somebody else's text in our messages."""


def plain(text: str, most: int = 40) -> str:
    """`text` fit to be shown between backticks: short, printable, and without Markdown's quotes."""
    return "".join(c for c in text[:most] if c.isprintable() and c != "`")
