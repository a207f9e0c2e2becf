"""How modules are served: under an address with a hash of them all, for good, and nothing else beside them."""

import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app import web
from app.components import browser
from app.link import VIEW
from app.security import Guard

FOLDER = Path(web.__file__).parent
MODULE = "canvas/ticks.js"


@pytest.fixture(scope="module")
def client():
    app = Starlette(routes=web.routes())
    app.add_middleware(Guard)
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def test_every_module_and_style_is_served_for_good(client):
    on_disk = {path.relative_to(FOLDER).as_posix() for kind in ("js", "css") for path in FOLDER.rglob(f"*.{kind}")}
    assert on_disk == set(web.FILES) and len(on_disk) > 80
    for name in on_disk:
        answer = client.get(web.address(name))
        assert answer.status_code == 200 and answer.content == (FOLDER / name).read_bytes(), name
        kind = "text/javascript" if name.endswith(".js") else "text/css"
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        f"/web/{web.HASH}/canvas/nothing.js",
        f"/web/{web.HASH}/__init__.py",
        f"/web/{web.HASH}/canvas/../../main.py",
        f"/web/{web.HASH}/canvas/..%2f..%2fmain.py",
        f"/web/{web.HASH}//{FOLDER}/{MODULE}",
        f"/web/{'0' * len(web.HASH)}/{MODULE}",
        f"/web/{MODULE}",
    ],
)
def test_nothing_else_is_served_and_no_browser_keeps_that(client, path):
    answer = client.request("GET", "http://localhost/", extensions={"target": path.encode()})  # as it is, not tidied
    assert answer.status_code == 404
    assert "immutable" not in answer.headers.get("cache-control", "")


def test_only_reading_is_allowed(client):
    assert client.head(web.address(MODULE)).status_code == 200
    for method in ("POST", "PUT", "DELETE"):
        assert client.request(method, web.address(MODULE)).status_code == 405


def test_an_address_has_another_hash_where_a_name_or_a_content_differs():
    files = {"a.js": b"one", "b.js": b"two"}
    others = [{"a.js": b"one", "b.js": b"twO"}, {"a.js": b"one", "c.js": b"two"}, {"a.js": b"oneb.js", "b.js": b"two"}]
    hashes = {web.hash_of(one) for one in (files, *others, {"a.js": b"one"})}
    assert len(hashes) == 5 and all(re.fullmatch(r"[0-9a-f]{12}", one) for one in hashes)
    assert web.address(MODULE, "/below/") == f"/below/web/{web.HASH}/{MODULE}"
    with pytest.raises(KeyError, match=r"nothing\.js"):
        web.address("canvas/nothing.js")


def test_python_and_the_modules_know_each_other_by_the_same_names():
    text = web.FILES["browser/names.js"].decode() + web.FILES["canvas/address.js"].decode()
    said = dict(re.findall(r"^(?:export )?const ([A-Z_]+) = (.+?);", text, re.MULTILINE))
    for name, value in {"ENTRY": browser.ENTRY, "COOKIE": browser.COOKIE, "VIEW": VIEW}.items():
        assert said[name] == f'"{value}"'
