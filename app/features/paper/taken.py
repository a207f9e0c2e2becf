"""The picture of a card as files: PNG and SVG as they are seen, and its numbers as CSV."""

from app.components import take
from app.components.take import File
from app.features.paper.found import Picture
from app.text import csv_of
from app.ui.takeaway import member


def menu(place: str, title: str, picture: Picture) -> None:
    """The menu of the picture that stands in the container of the key `place`; `title` is what its files are called."""
    csv = File("CSV", f"{member(title)}.csv", lambda: numbers(picture))
    take.menu((csv,), key=f"paper.take.{place}", chart=(f"st-key-{place}", title))


def numbers(picture: Picture) -> bytes:
    """Every dot as a row of CSV: the row that it stands in, what is measured, its value and unit. If there is a mark,
    its name and its value in the same unit."""
    mark = {"mark": picture.mark[0], "mark_value": picture.mark[1]} if picture.mark else {}
    return csv_of(
        {"row": name, "quantity": picture.axis, "value": value, "unit": picture.unit} | mark
        for name, values in picture.rows.items()
        for value in values
    )
