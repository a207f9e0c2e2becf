"""A link to this page, and a button that copies it: one Streamlit component, which works over plain http too."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

__all__ = ["copy_link"]

_HERE = Path(__file__).parent

_share = st.components.v2.component(
    "resflow_share",
    html=(_HERE / "share.html").read_text(encoding="utf-8"),
    css=(_HERE / "share.css").read_text(encoding="utf-8"),
    js=(_HERE / "share.js").read_text(encoding="utf-8"),
)


def copy_link(query: Mapping[str, str], *, key: str) -> None:
    """Show the link that opens this page with `query`."""
    _share(data={"query": urlencode(query)}, key=key)
