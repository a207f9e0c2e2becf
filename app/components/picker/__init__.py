"""The data sets to choose from, each by a picture of its points: one Streamlit component, a group of radio buttons."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from app.components.component import declared
from app.quantise import Window, to_u16

__all__ = ["Group", "Tile", "pick", "thumbnail"]

_picker = declared(Path(__file__).parent)


@dataclass(frozen=True)
class Tile:
    """A choice: its key, its name for people, and a `thumbnail`; without points it shows a sign of `picker.js`."""

    key: str
    title: str
    points: str | None
    sign: str = "plus"


@dataclass(frozen=True)
class Group:
    title: str
    tiles: tuple[Tile, ...]


def thumbnail(points: np.ndarray, window: Window) -> str:
    """Points of the plane, (n, 2), as bytes over the window, in base64; those outside are left out."""
    places = to_u16(points, window)
    inside = ((places > 0) & (places < 65535)).all(1)
    return base64.b64encode((places[inside] >> 8).astype(np.uint8).tobytes()).decode("ascii")


def pick(groups: Sequence[Group], chosen: str, *, key: str, on_pick: Callable[[], None]) -> None:
    """Show all tiles, with `chosen` marked. When another one is chosen, its key is `st.session_state[key].picked` for
    one run of the script, and `on_pick` is called before it."""
    _picker(data={"groups": [asdict(group) for group in groups], "chosen": chosen}, key=key, on_picked_change=on_pick)
