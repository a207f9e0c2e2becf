"""A site that has the modules below `app/web` and one empty page, under the app's content security policy; and the
messages that bring a flow to them."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.security import policy
from resflow_core.flow import NormalizingFlow
from resflow_core.measure import flow_shape, folded_numbers
from tests.web.node import APP

MODULES = "web-0123"
"""The folder of the modules, beside the page."""


def message_of(flow: NormalizingFlow, **header: object) -> bytes:
    """A flow as a browser gets it, with more entries of its header."""
    told = json.dumps({"flow": flow_shape(flow), **header}).encode()
    told += b" " * (-(len(told) + 4) % 8)
    return len(told).to_bytes(4, "little") + told + folded_numbers(flow).tobytes()


@contextmanager
def modules_served(base: str = "/") -> Iterator[str]:
    """The address of the page, below a base path that ends with a slash."""
    security = policy()

    class Files(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = APP / self.path.removeprefix(f"{base}{MODULES}/")
            is_module = self.path.endswith(".js") and path.is_file()
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript" if is_module else "text/html")
            self.send_header("Content-Security-Policy", security)
            self.end_headers()
            self.wfile.write(path.read_bytes() if is_module else b"<!doctype html><title>A page</title>")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{site.server_port}{base}"
        finally:
            site.shutdown()
