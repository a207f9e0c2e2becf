"""One page alone with the app's modules: `served` (`tests/served.py`) starts it."""

import os

import streamlit as st

from app import web

app = st.App(os.environ["ALONE"], routes=web.routes())
