"""A widget that takes a file, and says below itself what is wrong with it."""

from collections.abc import Callable

import streamlit as st

from app import csv_file, session
from app.lessons.progress import MOST_BYTES as MOST_PROGRESS_BYTES
from resflow_core.api import flow_file

Reader = Callable[[str, bytes], None]
"""Is given name and contents of a file. If it raises ValueError, that is said and nothing changes."""


def csv(label: str, key: str, read: Reader, label_visibility: str = "visible") -> None:
    _uploader(label, key, read, ["csv", "tsv", "txt"], csv_file.MOST_BYTES, label_visibility)


def flow(label: str, key: str, read: Reader, label_visibility: str = "visible") -> None:
    _uploader(label, key, read, ["safetensors"], flow_file.MOST_BYTES, label_visibility)


def progress(label: str, key: str, read: Reader) -> None:
    _uploader(label, key, read, ["json"], MOST_PROGRESS_BYTES, "visible")


def _uploader(label: str, key: str, read: Reader, types: list[str], most_bytes: int, label_visibility: str) -> None:
    upload = st.file_uploader(
        label,
        types,
        key=key,
        on_change=session.take,
        args=(key, read),
        max_upload_size=most_bytes // 2**20,
        label_visibility=label_visibility,
    )
    # Streamlit empties a widget that was not drawn for a while; what was wrong with its file goes with the file.
    if upload is not None and (problem := session.problem(key)):
        st.error(problem)
