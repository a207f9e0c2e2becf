"""A page of the real server's kind, which tells whether the system may hold its answers back: asked by
`test_rooms.py`."""

import socket
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import app.main  # it changes what this is about


async def delay(request: Request) -> PlainTextResponse:
    asked = request.receive.__self__.transport.get_extra_info("socket")
    return PlainTextResponse(str(asked.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))


app = st.App(Path(__file__), routes=[Route("/delay", delay)])
