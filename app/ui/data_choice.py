"""The sidebar's choice of data: a picture each, and somebody's own drawing or file."""

from dataclasses import replace
from functools import lru_cache

import streamlit as st

from app import session
from app.components.picker import Group, Tile, pick, thumbnail
from app.csv_file import CsvError, CsvFile, table
from app.link import DRAWING, OWN_DATA
from app.setup import CsvChoice, OwnData, Setup
from app.text import distinct, plain
from app.ui import uploads
from resflow_core.data import DATASETS, Dataset

POINTS = 300
NO_COLUMN = "(none)"


def choose(setup: Setup) -> Setup:
    """Draw the choice, and return `setup` with what is chosen; with the data that it had while there is no file, or no
    drawing that can be learned. Data of one's own can be brought where the page offers everything."""
    pictures, picked = st.container(), session.picked()
    brings = not session.focused()
    if picked not in _BRINGS:
        chosen = replace(setup, data=picked, own=None)
    else:
        chosen = replace(setup, own=_BRINGS[picked](setup.own)) if brings else setup
    groups = [_own(chosen.own), *known()] if brings or chosen.own else known()
    with pictures:  # above the rest, but last, so that somebody's file has its picture at once
        pick(groups, picked, key="data", on_pick=lambda: session.pick("data"))
    return chosen


@lru_cache(maxsize=1)
def known() -> tuple[Group, ...]:
    """The registry's data sets, by their groups."""
    groups: dict[str, list[Tile]] = {}
    for name, dataset in DATASETS.items():
        groups.setdefault(dataset.group, []).append(Tile(name, dataset.title, _points(dataset)))
    return tuple(Group(title, tuple(tiles)) for title, tiles in groups.items())


@lru_cache(maxsize=16)
def _points(dataset: Dataset) -> str:
    return thumbnail(dataset.held_out()[:POINTS].numpy(), dataset.window)


def _own(own: OwnData | None) -> Group:
    """The two ways to bring data, with a picture of those that are learned now."""
    pictures = {DRAWING: (own.table.title, _points(own.table))} if own and own.drawing else {}
    if own and not own.drawing:
        pictures[OWN_DATA] = f"Your CSV: {plain(own.choice.name)}", _points(own.table)
    ways = {DRAWING: ("Draw", "pencil"), OWN_DATA: ("Your CSV", "plus")}
    tiles = []
    for key, (title, sign) in ways.items():
        shown, points = pictures.get(key, (title, None))
        tiles.append(Tile(key, shown, points, sign))
    return Group("Your own", tuple(tiles))


def _drawn_data(current: OwnData | None) -> OwnData | None:
    """What is painted; `current` until that can be learned. While it is painted, the plane has its buttons."""
    own = session.drawn_data(current)
    if session.draws():
        return own
    st.button("Go on drawing", on_click=session.start_drawing, icon=":material/brush:", key="draw", width="stretch")
    if own and (drawing := own.drawing):
        st.download_button(
            "Save the points (CSV)",
            lambda: drawing.file,
            drawing.name,
            "text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="save_drawing",
            width="stretch",
        )
    return own


def _own_data(current: OwnData | None) -> OwnData | None:
    """What the file and the columns chosen from it make; `current` until that can be used."""
    uploads.csv("CSV file with two columns of numbers", "csv", session.take_csv)
    file = session.csv()
    if file is None:
        return current
    if file.note:
        st.caption(file.note)
    x, y, *more = file.numeric
    if more:
        left, right = st.columns(2, gap="small")
        with left:
            x = _column("Horizontal", file.numeric, "x", file)
        with right:
            names = _vertical(file, x, current)
            y = _column("Vertical", names, "y", file, int(names[0] == x))
    label = _column("Label", ("", *file.labels), "label", file) if file.labels else ""
    choice = CsvChoice(file.name, file.digest, x, y, label)
    if current and current.choice == choice:
        return current
    try:
        return OwnData(choice, table(file, x, y, label or None))
    except CsvError as error:
        st.error(str(error))
        return current


def _vertical(file: CsvFile, x: str, current: OwnData | None) -> tuple[str, ...]:
    """What the vertical axis may be: any column, but not `x` where that is new, by another file or another choice. A
    widget whose value is no option any more moves on, so that y makes way for x instead of being refused."""
    known = current and not current.drawing and (current.file.digest, current.file.x) == (file.digest, x)
    return file.numeric if known else tuple(name for name in file.numeric if name != x)


def _column(title: str, names: tuple[str, ...], part: str, file: CsvFile, index: int = 0) -> str:
    """One of the columns; the one chosen last while it is among them, also after another data set was looked at. All of
    the file have names that differ, or Streamlit could not tell which one was chosen."""
    called = distinct([NO_COLUMN, *file.cells])
    return st.selectbox(
        title,
        names,
        index,
        key=f"csv.{part}",
        format_func=lambda name: called.get(name or NO_COLUMN) or plain(name),
        filter_mode=None,
        persist_state="session",
    )


_BRINGS = {DRAWING: _drawn_data, OWN_DATA: _own_data}
"""What draws the widgets of data of one's own, and returns these data."""
