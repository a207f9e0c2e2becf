"""Streamlit's components as the app declares them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from app import web

__all__ = ["component", "declared"]

_SCRIPT = (Path(__file__).parent / "component.js").read_text(encoding="utf-8")
_HEAD, _, _SENT = _SCRIPT.partition("\n\n")  # Streamlit sends a component's script with each message: without comments


def component(name: str, module: str, **parts: Any) -> Callable[..., Any]:
    """A component that is given data, as `st.components.v2.component` declares it. Its script is the `module` of
    `app/web`, whose default export is called with the newest data alone (`component.js`)."""
    js = _SENT.replace("ADDRESS", json.dumps(web.address(module)))
    return st.components.v2.component(name, js=js, **parts)


def declared(folder: Path) -> Callable[..., Any]:
    """The component `resflow_<folder>`, whose HTML and CSS are the files of this folder that bear its name, as does its
    module. Its HTML stands in the page itself, so its rules of style must name its root. A shadow root would hide it
    from the module that keeps popovers open to the keyboard (`app/web/browser/popovers.js`)."""
    name = folder.name
    html, css = ((folder / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css"))
    return component(f"resflow_{name}", f"{name}/{name}.js", html=html, css=css, isolate_styles=False)
