"""A program as a notebook: each section is a cell."""

import json
import uuid
from typing import Any

NAMESPACE = uuid.UUID("6f1c1d0e-5e9b-4c1c-9a58-0d7b1c5f2a10")
"""Of the cells' identities: the same program gives the same file."""


def notebook(source: str) -> bytes:
    """A script as a notebook (nbformat 4.5), without outputs. Its docstring is a cell of Markdown. Code is divided
    before each comment that follows an empty line and begins in the first column."""
    about, code = _divided(source)
    cells = [_cell("markdown", about)] if about else []
    cells += [_cell("code", part) for part in _sections(code)]
    for number, cell in enumerate(cells):
        cell["id"] = uuid.uuid5(NAMESPACE, f"{number}").hex[:8]
    language = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": language},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return (json.dumps(made, ensure_ascii=False, indent=1) + "\n").encode()


def _divided(source: str) -> tuple[str, str]:
    """The text of the docstring, as Markdown, and the code after it."""
    quotes = '"""'
    if not source.startswith(quotes):
        return "", source
    about, code = source.removeprefix(quotes).split(quotes, 1)
    title, _, more = about.strip().partition("\n")
    return f"# {title}\n{more}".strip(), code


def _sections(code: str) -> list[str]:
    """A comment inside a block is indented, so it heads no section."""
    parts = code.strip().split("\n\n# ")
    return [parts[0].strip(), *(f"# {part.strip()}" for part in parts[1:])]


def _cell(kind: str, text: str) -> dict[str, Any]:
    of_code: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, **of_code, "source": text.splitlines(keepends=True)}
