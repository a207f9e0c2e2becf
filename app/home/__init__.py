"""The home page: a picture that moves, doors to the screens, and the list of lessons."""

from app.home.lesson_list import Row, lessons

__all__ = ["Row", "lessons"]
