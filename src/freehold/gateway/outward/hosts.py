"""
Hosts as they are stated, and the one spelling in which they are judged, granted and connected to.

Readers of addresses differ in what they take for a number, a dot or an end. What they could differ about is not read
here at all: it is refused.
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final
from urllib.parse import urlsplit

import idna
from typing_extensions import override

from freehold.core.errors import Invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LONGEST: Final = 253
MOST_PORT: Final = 65_535
PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_UNCLEAR: Final = re.compile(r"[^!-~]|\\")


@final
@dataclass(frozen=True, slots=True)
class Host:
    """A name, or an address that was stated as one; equal where they mean the same."""

    name: str
    """In lower case and ASCII, without a dot at its end; an address as the standard writes it, without brackets."""
    address: Address | None = None

    @property
    def in_url(self) -> str:
        """The host as an address of the web has it."""
        return f"[{self.name}]" if isinstance(self.address, ipaddress.IPv6Address) else self.name


@final
@dataclass(frozen=True, slots=True)
class Place:
    """A host and a port."""

    host: Host
    port: int

    @override
    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.host.in_url}:{self.port}"

    def said_by(self, scheme: str) -> str:
        """Return it as a request of `scheme` says it: with the port only where that is not the usual one."""
        return self.host.in_url if self.port == PORTS[scheme] else str(self)


def host_of(stated: str) -> Host:
    """Return the host that is meant; raise `Invalid` (`bad_host`) for what two readers might read differently."""
    if stated.startswith("[") and stated.endswith("]"):
        return _six(stated[1:-1])
    name = stated.removesuffix(".").lower()
    if not name.isascii():
        name = _in_ascii(name)
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # every reader takes this for an address, each in its own way
        return _four(name)
    if len(name) > LONGEST or not all(_LABEL.fullmatch(label) for label in labels):
        raise bad_host(stated)
    return Host(name)


def place_of(stated: str, *, port: int | None = None) -> Place:
    """Return host and port of `HOST:PORT`; `port` where none is stated. Raises `Invalid` (`bad_host`)."""
    found = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?", stated, re.DOTALL)
    if found is None:
        raise bad_host(stated)
    host, said = found.groups()
    if said is None and port is not None:
        return Place(host_of(host), port)
    if said is None or not _PORT.fullmatch(said) or not 0 < int(said) <= MOST_PORT:
        raise bad_host(stated)
    return Place(host_of(host), int(said))


@lru_cache(maxsize=1024)
def place_in(url: str) -> Place:
    """Return where `url` leads; raise `Invalid` (`bad_address`) unless every reader finds the same there."""
    if _UNCLEAR.search(url):
        raise _bad_address(url)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _bad_address(url) from error
    if parts.scheme not in PORTS or not parts.netloc or "@" in parts.netloc:
        raise _bad_address(url)
    return place_of(parts.netloc, port=PORTS[parts.scheme])


def bad_host(stated: str) -> Invalid:
    """Return the error that tells that something is no host."""
    return Invalid(
        f"{stated[:80]!r} is no host.",
        code="bad_host",
        remedy="Write a name such as api.example.com, an IPv4 address with four plain numbers, or [IPv6].",
    )


def _bad_address(url: str) -> Invalid:
    return Invalid(
        f"{url[:80]!r} is no address that can be gone to.",
        code="bad_address",
        remedy="Write http:// or https://, a host and a path, without user, password or spaces.",
    )


def _in_ascii(name: str) -> str:
    try:
        return idna.encode(name, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise bad_host(name) from error


def _four(name: str) -> Host:
    try:
        address = ipaddress.IPv4Address(name)
    except ValueError as error:
        raise bad_host(name) from error
    return Host(str(address), address)


def _six(name: str) -> Host:
    try:
        address = ipaddress.IPv6Address(name)
    except ValueError as error:
        raise bad_host(name) from error
    if address.scope_id is not None:
        raise bad_host(name)
    return Host(str(address), address)
