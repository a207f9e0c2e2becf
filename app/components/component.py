"""Streamlit's components as the app declares them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

__all__ = ["component", "declared"]

_NEWEST_ALONE = (Path(__file__).parent / "newest.js").read_text(encoding="utf-8")


def component(name: str, *, js: str, **parts: Any) -> Callable[..., Any]:
    """A component that is given data, as `st.components.v2.component` declares it. Its script `js` ends with its
    default export, which is called with the newest data alone (`newest.js`)."""
    before, _, exported = js.rpartition("export default ")
    js = f"{_NEWEST_ALONE}{before}export default newestAlone({exported.rstrip().removesuffix(';')});\n"
    return st.components.v2.component(name, js=js, **parts)


def declared(folder: Path) -> Callable[..., Any]:
    """The component `resflow_<folder>`, whose HTML, CSS and script are the files of this folder that bear its name.
    Its HTML stands in the page itself, so its rules of style must name its root. A shadow root would hide it from the
    script that keeps popovers open to the keyboard (`browser/popovers.js`)."""
    html, css, js = ((folder / f"{folder.name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return component(f"resflow_{folder.name}", html=html, css=css, js=js, isolate_styles=False)
