"""A widget that takes a file, and says below itself what is wrong with it."""

from collections.abc import Callable

import streamlit as st

from app import session

Reader = Callable[[str, bytes], None]
"""Is given name and contents of a file. If it raises ValueError, that is said and nothing changes."""


def csv(label: str, key: str, read: Reader, label_visibility: str = "visible") -> None:
    _uploader(label, key, read, ["csv", "tsv", "txt"], 2, label_visibility)


def flow(label: str, key: str, read: Reader, label_visibility: str = "visible") -> None:
    _uploader(label, key, read, ["safetensors"], 32, label_visibility)


def _uploader(label: str, key: str, read: Reader, types: list[str], most_mb: int, label_visibility: str) -> None:
    st.file_uploader(
        label,
        types,
        key=key,
        on_change=session.take,
        args=(key, read),
        max_upload_size=most_mb,
        label_visibility=label_visibility,
    )
    if problem := session.problem(key):
        st.error(problem)
