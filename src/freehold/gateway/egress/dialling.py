"""Connecting a pipe to a server: to addresses that were judged, one after the other, and to nothing else."""

import asyncio
import ssl
from collections.abc import Callable, Iterable

from freehold.core.errors import Unavailable
from freehold.failpoints import reach
from freehold.gateway.egress.metering import Session
from freehold.gateway.outward.client import CONNECT_SECONDS
from freehold.gateway.outward.hosts import Address, Place


async def dial(
    far: Callable[[], asyncio.Protocol],
    session: Session,
    place: Place,
    addresses: Iterable[Address],
    tls: ssl.SSLContext | None = None,
) -> None:
    """
    Connect what `far` makes to the first of `addresses` that can be reached, and let `session` know which.

    Raises `Unavailable` (502; 504 where nobody answered in time) where none can.
    """
    failed: OSError | None = None
    for address in addresses:
        session.address = str(address)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().create_connection(
                    far, str(address), place.port, ssl=tls, server_hostname=place.host.name if tls else None
                )
        except OSError as error:
            failed = error
        else:
            reach("gateway", "sent")
            return
    if isinstance(failed, TimeoutError):
        raise Unavailable(f"{place} does not answer.", code="server_timeout", status=504) from failed
    raise Unavailable(
        f"{place} cannot be reached.", code="server_unreachable", status=502, remedy="Look whether the server is up."
    ) from failed
