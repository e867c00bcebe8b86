"""
Which addresses are this machine's own.

Only what is one's own can be bound to; that asks the kernel itself and costs microseconds. Where the kernel lets
anybody bind to anything, its lists are read instead.
"""

import ipaddress
import re
import socket
from pathlib import Path
from typing import Final

from freehold.gateway.outward.hosts import Address

PROC: Final = Path("/proc")
_LISTED: Final = re.compile(r"\|-- (\S+)((?:\s+/\d+ \S+ \S+)+)")
_LOCAL: Final = re.compile(r"/(\d+) host LOCAL")


def is_ours(address: Address, proc: Path = PROC) -> bool:
    """Return whether `address` is this machine's own."""
    if not _binds(address):
        return False
    loose = proc / f"sys/net/ipv{address.version}/ip_nonlocal_bind"
    try:
        anything = loose.read_text().strip() != "0"
    except OSError:
        return True
    return not anything or _is_listed(address, proc)


def _binds(address: Address) -> bool:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _is_listed(address: Address, proc: Path) -> bool:
    """Return whether the kernel lists `address` as local; what cannot be read is taken for a yes."""
    try:
        if isinstance(address, ipaddress.IPv6Address):
            lines = (proc / "net/if_inet6").read_text().splitlines()
            return any(int(line.split()[0], 16) == int(address) for line in lines)
        table = (proc / "net/fib_trie").read_text()
    except OSError:
        return True
    return any(
        address in ipaddress.IPv4Network((network, int(length)), strict=False)
        for network, kinds in _LISTED.findall(table)
        for length in _LOCAL.findall(kinds)
    )
