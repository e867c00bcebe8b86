"""The one address people come to: taken, or a clear word why not."""

import errno
import socket
from typing import Final

from freehold.core.errors import Invalid

BACKLOG: Final = 2048


def bound(address: str, *, stated: str = "FREEHOLD_ADDRESS") -> socket.socket:
    """Return a socket that listens at `address`, which the setting `stated` says; raise `Invalid` (`port_taken`, `bad_address`) where it cannot."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
    except (OSError, ValueError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise Invalid(
                f"Another program listens at {address}.",
                code="port_taken",
                remedy=f"Stop it, or choose another address with {stated}=127.0.0.1:7071.",
            ) from error
        raise Invalid(
            f"Nobody can listen at {address}.",
            code="bad_address",
            remedy=f"Set {stated} to host:port with an address of this machine.",
        ) from error
