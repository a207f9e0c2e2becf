"""What all that is drawn in the browser has in common, as scripts: a component's script begins with those it needs."""

from pathlib import Path

__all__ = ["shared"]

_HERE = Path(__file__).parent


def shared(*names: str) -> str:
    """The text of these scripts of this folder, each after those that it uses."""
    return "\n".join((_HERE / f"{name}.js").read_text(encoding="utf-8") for name in names)
