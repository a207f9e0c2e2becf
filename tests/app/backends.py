"""Backends as tests want them."""

from dataclasses import dataclass


@dataclass
class Always:
    """`now` is the backend of whatever begins; tests may change it. A saved run goes on as it was, if `has_all`."""

    now: str
    has_all: bool = True
    why_torch: str = ""

    def of_new_run(self):
        return self.now

    def of_saved_run(self, backend):
        return backend if self.has_all else self.now
