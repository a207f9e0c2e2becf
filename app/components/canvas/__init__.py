"""What all that is drawn in the browser has in common, as scripts: a component's script begins with those it needs."""

from pathlib import Path

__all__ = ["ALL", "scoped", "scripts", "shared", "style"]

_HERE = Path(__file__).parent
ALL = (
    "colours", "page", "address", "unpack", "numbers", "ticks", "field", "layers", "swatch", "plane", "panel", "inbox",
)  # fmt: skip
"""Each after those that it uses."""


def shared(*names: str) -> str:
    """The text of these scripts of this folder."""
    return scripts(_HERE, *names)


def scripts(folder: Path, *names: str) -> str:
    """The text of these scripts of a folder, one after the other."""
    return "\n".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in names)


def scoped(script: str) -> str:
    """A script whose names are its own."""
    return f"(() => {{\n{script}\n}})();"


def style() -> str:
    """How surfaces look."""
    return (_HERE / "surface.css").read_text(encoding="utf-8")
