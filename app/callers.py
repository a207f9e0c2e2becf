"""Who asks: the address of a request, and whether it comes from this very machine.

Behind a proxy a connection is the proxy's, and a header names the visitor. Anybody can send such a header, so the
server believes it of those proxies alone that `PROXY` names (`trust`). A request that has one never counts as this
machine's own.
"""

import os
from collections.abc import MutableMapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network

from starlette.requests import HTTPConnection

from app.network import ip_of

PROXY_VARIABLE = "RESFLOW_PROXY"
"""The environment's addresses of proxies that are trusted."""
UVICORN_TRUSTS = "FORWARDED_ALLOW_IPS"
"""Where uvicorn reads them. Without it, it believes every program of this machine."""
FORWARDING = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})
IPV6_BITS = 64
"""That are the network's. A visitor has all addresses of one, so they count as one."""


@dataclass(frozen=True)
class Caller:
    address: str
    """Of the visitor; of IPv6 its network."""
    is_local: bool
    """Whether this machine itself asks, by no proxy."""


def trust(proxies: str, environment: MutableMapping[str, str] = os.environ) -> None:
    """Believe what these proxies say of their visitors: addresses or networks, with spaces or commas between them. Call
    it before the server starts. Raises ValueError, with what is allowed, for anything else."""
    found = proxies.replace(",", " ").split()
    for one in found:
        try:
            ip_network(one)
        except ValueError as error:
            raise ValueError(
                f"{PROXY_VARIABLE} has {one[:80]!r}: use addresses or networks such as 10.0.0.5 or 10.0.0.0/24, with "
                "spaces between them."
            ) from error
    environment[UVICORN_TRUSTS] = ",".join(found)


def caller(request: HTTPConnection) -> Caller:
    """Who makes this request."""
    host = request.client.host if request.client else ""
    server = (request.scope.get("server") or ("",))[0]
    direct, ip = FORWARDING.isdisjoint(request.headers.keys()), ip_of(host)
    is_here = (ip is not None and ip.is_loopback) or host == server != ""
    return Caller(_of_one_visitor(host), direct and is_here)


def _of_one_visitor(host: str) -> str:
    found = ip_of(host)
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, IPV6_BITS), strict=False))
    return host if found is None else str(found)
