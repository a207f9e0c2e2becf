"""The address at which others on the network reach a page that is open at this machine's own."""

import socket
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit, urlunsplit

# Addresses of documentation (RFC 5737, RFC 3849) are nobody's, so the way to them is the way out of this machine.
OUTSIDE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
# What a server listens on if it listens on all networks, and what then reaches it.
EVERYWHERE = {
    "": (socket.AF_INET, socket.AF_INET6),
    "::": (socket.AF_INET, socket.AF_INET6),
    "0.0.0.0": (socket.AF_INET,),
}
ANY_PORT = 9


class Reach(Enum):
    """Who can open a link."""

    AS_HERE = "who can open the page at the address that it is open at"
    NETWORK = "this machine's network"
    CLOSED = "this machine alone: the server listens to no other"
    NO_NETWORK = "this machine alone: it has no address on a network"


@dataclass(frozen=True)
class Shared:
    """What links to a page begin with, and who can open them."""

    url: str
    reach: Reach = Reach.AS_HERE

    @property
    def is_open(self) -> bool:
        """Whether anybody beside this machine can open it."""
        return self.reach not in (Reach.CLOSED, Reach.NO_NETWORK)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


def shared(url: str, listens_on: str) -> Shared:
    """For a page that is open at `url`, of a server that listens on this address ("": on all)."""
    if not is_this_machine(urlsplit(url).hostname or ""):
        return Shared(url)
    if listens_on in EVERYWHERE:
        found = next(filter(None, map(network_address, EVERYWHERE[listens_on])), None)
        return Shared(_at(url, found), Reach.NETWORK) if found else Shared(url, Reach.NO_NETWORK)
    if is_this_machine(listens_on) or "/" in listens_on:  # the path of a socket for programs of this machine
        return Shared(url, Reach.CLOSED)
    return Shared(_at(url, listens_on), Reach.NETWORK)


def is_this_machine(host: str) -> bool:
    """Whether the name or address means this machine, wherever it is said."""
    ip = ip_of(host)
    if ip is None:
        return host == "localhost" or host.endswith(".localhost")
    return ip.is_loopback or ip.is_unspecified


def network_address(family: socket.AddressFamily) -> str | None:
    """This machine's address on the network that its traffic goes out by; None if it has none. Nothing is sent: a
    datagram socket is only told where it would send to."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.connect((OUTSIDE[family], ANY_PORT))
            found = ip_of(s.getsockname()[0])
    except OSError:
        return None
    usable = found and not (found.is_loopback or found.is_unspecified or found.is_link_local)
    return str(found) if usable else None


def ip_of(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a text is; None for a name, or anything else."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def _at(url: str, host: str) -> str:
    """The same page at another host."""
    parts = urlsplit(url)
    named = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=f"{named}:{parts.port}" if parts.port else named))
