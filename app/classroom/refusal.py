"""What a room does not take, and why."""

from app.lessons.words import wording

WORDS = "refuses_"
"""What the keys of these sentences begin with, among the words of a room."""


class Refusal(ValueError):
    """A sentence of a room's words by its `key`, with the `values` of its {names}: a page says it in its own language.
    As text it is in the lessons' own."""

    def __init__(self, key: str, **values: str | int | float) -> None:
        super().__init__(wording().say(f"room_{WORDS}{key}", **values))
        self.key, self.values = f"{WORDS}{key}", values
