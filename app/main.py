"""The server's entry: the page, and what every answer tells a browser about safety. Start it with `python -m app`, or
`streamlit run app/main.py`."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # `streamlit run` knows this folder alone

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

from app import (  # noqa: E402
    channel,
    screens,  # noqa: F401  # papers can be asked for before any page, which would bring what lessons may ask
)
from app.features.teach import served  # noqa: E402
from app.security import EMBED_VARIABLE, Guard  # noqa: E402

# How long a thread that computes keeps the others waiting. The one that speaks to all browsers waits so long for each
# message: with Python's usual 5 ms a burst of visitors is not answered for minutes.
sys.setswitchinterval(0.0005)

GUARD = Middleware(Guard, embed=os.environ.get(EMBED_VARIABLE, ""))

# Streamlit looks for this very line.
app = st.App(HERE / "page.py", routes=[*channel.routes(), *served.routes()], middleware=[GUARD])
