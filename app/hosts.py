"""By which names the server is asked. A page elsewhere whose name is made to lead to this machine (DNS rebinding) is
taken by browsers for the server's own page, but it asks by a name that is not the server's.

An address in the place of a name cannot be made to lead elsewhere, so every address is ours.
"""

import re
import socket
from collections.abc import Collection
from functools import cache
from urllib.parse import urlsplit

from app.network import ip_of

HOSTS_VARIABLE = "RESFLOW_HOSTS"
"""The environment's list of names beside this machine's own, such as that of a proxy before it."""
NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.IGNORECASE)


def hosts(text: str) -> frozenset[str]:
    """Names, between spaces or commas. Raises ValueError, with what is allowed, for anything else."""
    found = text.replace(",", " ").split()
    for one in found:
        if not NAME.fullmatch(one):
            raise ValueError(
                f"{HOSTS_VARIABLE} has {one[:80]!r}: use names such as flows.example.org, without http:// and a port, "
                "with spaces between them."
            )
    return frozenset(one.lower() for one in found)


def name_of(asked: str) -> str:
    """The name or address in the header `Host` of a request, in small letters; "" where there is none."""
    try:
        return (urlsplit(f"//{asked}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_known(name: str, more: Collection[str] = ()) -> bool:
    """Whether it is an address, `localhost`, or one of these names."""
    return ip_of(name) is not None or name == "localhost" or name.endswith(".localhost") or name in more


@cache
def own_names() -> frozenset[str]:
    """Of this machine, in small letters. The first time it may ask the network, and wait for the answer."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset({name, short, f"{short}.local", socket.getfqdn().lower()}) - {""}
