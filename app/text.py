"""Text in our messages: what somebody else typed, and numbers."""


def plain(text: str, most: int = 40) -> str:
    """`text` fit to be shown between backticks: short, printable, and without Markdown's quotes."""
    return "".join(c for c in text[:most] if c.isprintable() and c != "`")


def signed(text: str) -> str:
    """A number as text, with a minus sign for its hyphen."""
    return text.replace("-", "\N{MINUS SIGN}")
