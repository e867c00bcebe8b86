"""The gateway's place: one process at a time at its store, and two sockets whose owners are who may ask."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from freehold.core.errors import Conflict
from freehold.store.sockets import fitting

BACKLOG: Final = 1024
_OWN: Final = 0o600
_SHARED: Final = 0o660


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Be the only gateway of this store while the block lasts; raise `Conflict` if there is one already."""
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _OWN)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Conflict(
            "Another gateway works on this store.",
            code="already_running",
            remedy="Stop it first; one gateway is active at a time.",
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def listen(path: Path, group: int) -> socket.socket:
    """
    Return a socket that listens at `path`: for its `group` too, or for our own user alone.

    One that a dead gateway left behind is replaced; that no living one is there, the lock has shown.
    """
    path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)  # closed from the first moment, opened to the group when it is the right one
    try:
        listener.bind(fitting(path))
    finally:
        os.umask(before)
    if group >= 0:
        os.chown(path, -1, group)
        path.chmod(_SHARED)
    listener.listen(BACKLOG)
    listener.setblocking(False)  # noqa: FBT003 - its only argument
    return listener


def listen_outside(address: str) -> socket.socket:
    """Return a socket that listens at `address` (`host:port`); raise `Conflict` (`address_taken`) where that cannot be."""
    host, _, port = address.rpartition(":")
    try:
        listener = socket.create_server((host.strip("[]"), int(port)), backlog=BACKLOG, family=_family(host))
    except (OSError, OverflowError) as error:
        raise Conflict(
            f"The gateway cannot listen at {address}.",
            code="address_taken",
            remedy="State another FREEHOLD_GATEWAY_ADDRESS, or stop what listens there.",
        ) from error
    # What is accepted takes this over: a head and a body that are written apart do not wait for each other.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)  # noqa: FBT003 - its only argument
    return listener


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
