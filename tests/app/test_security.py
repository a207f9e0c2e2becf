"""Which sites may show the app in a frame. What a real server answers: `tests/hostile/test_headers.py`."""

import pytest

from app.security import EMBED_VARIABLE, Guard, origins, policy

SITE = "https://lecture.example.org"
GOOD = ["", SITE, "http://localhost:8000", f"{SITE} http://10.0.0.7:80", f"{SITE},https://b.example", "https://a-b.c.d"]
BAD = [
    "*", "https://*", "https://*.example.org", "lecture.example.org", "https://", "https://a.example/lecture",
    "https://a.example/", "javascript:alert(1)", "data:", "'self'", "https://a.example; script-src *", "https://a b",
    "https://a.example:port", "https://a..example", "https://user@a.example", "https://a.example#x", "https://ä.example",
    "https://a.example\r\nSet-Cookie: a=b", "ftp://a.example", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_sites_may_show_it_in_a_frame(text):
    found = origins(text)
    assert len(found) == text.count("://")
    assert policy(text).endswith(" ".join(["frame-ancestors 'self'", *found]))


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_site_is_refused_with_what_is_allowed(text):
    with pytest.raises(ValueError, match="https://lecture") as refused:
        Guard(None, text)
    said = str(refused.value)
    assert EMBED_VARIABLE in said and len(said) < 400 and said.isprintable()
    assert any(word[:20] in said for word in text.split())
