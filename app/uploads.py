"""A widget that takes a file, and says below itself what is wrong with it."""

from collections.abc import Callable

import streamlit as st

from app import session


def uploader(label: str, key: str, read: Callable[[str, bytes], None], types: list[str], most_mb: int) -> None:
    """`read` is given name and contents of each file; if it raises ValueError, that is said and nothing changes."""
    st.file_uploader(label, types, key=key, on_change=session.take, args=(key, read), max_upload_size=most_mb)
    if problem := session.problem(key):
        st.error(problem)


def csv(label: str, key: str, read: Callable[[str, bytes], None]) -> None:
    uploader(label, key, read, ["csv", "tsv", "txt"], 2)


def flow(label: str, key: str, read: Callable[[str, bytes], None]) -> None:
    uploader(label, key, read, ["safetensors"], 32)
