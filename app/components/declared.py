"""A Streamlit component whose HTML, CSS and script are the files of its folder that bear the folder's name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

__all__ = ["declared"]


def declared(folder: Path) -> Callable[..., Any]:
    """The component `resflow_<folder>`. Its HTML stands in the page itself, so its rules of style must name its root. A
    shadow root would hide it from the script that keeps popovers open to the keyboard (`browser/popovers.js`)."""
    html, css, js = ((folder / f"{folder.name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return st.components.v2.component(f"resflow_{folder.name}", html=html, css=css, js=js, isolate_styles=False)
