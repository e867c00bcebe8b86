"""
What an address is: anybody's, somebody's own network, or nothing that may be connected to.

The tables are IANA's registries of special-purpose addresses (RFC 6890 and what came after). They are spelt out here,
because what Python calls global has holes: translated, tunnelled and embedded addresses lead where they please.
"""

from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from freehold.gateway.outward.hosts import Address


class Range(Enum):
    """What an address is."""

    PUBLIC = "public"
    PRIVATE = "private"
    """Of somebody's own network or machine: only where who runs the platform said so."""
    NEVER = "never"
    """Of a neighbour link (where clouds tell their machines secrets), of nobody, of many, or wrapped around another."""


_PRIVATE_4: Final = [
    IPv4Network(net) for net in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
]
_NEVER_4: Final = [
    IPv4Network(net)
    for net in (
        "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
        "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
        "100.100.100.200/32", "168.63.129.16/32",
    )
]  # fmt: skip
_PRIVATE_6: Final = [IPv6Network(net) for net in ("::1/128", "fc00::/7")]
_PUBLIC_6: Final = IPv6Network("2000::/3")
_NEVER_6: Final = [
    IPv6Network(net)
    for net in (
        "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
        "fd00:ec2::/32", "fd20:ce::/32", "fd00:42::/32",
    )
]  # fmt: skip
"""Last in both lists is where clouds tell machines their secrets, though their networks look like anybody's."""
_TUNNELLED: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""How the lower half of an address begins that holds one of the old kind (ISATAP, RFC 5214), in whatever network."""


def range_of(address: Address) -> Range:
    """Return what `address` is."""
    never, private = (_NEVER_4, _PRIVATE_4) if isinstance(address, IPv4Address) else (_NEVER_6, _PRIVATE_6)
    if any(address in net for net in never) or _tunnelled(address):
        return Range.NEVER
    if any(address in net for net in private):
        return Range.PRIVATE
    return Range.PUBLIC if isinstance(address, IPv4Address) or address in _PUBLIC_6 else Range.NEVER


def _tunnelled(address: Address) -> bool:
    return isinstance(address, IPv6Address) and int(address) >> 32 & 0xFFFF_FFFF in _TUNNELLED
