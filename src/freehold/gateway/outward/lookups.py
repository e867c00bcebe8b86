"""
Asking what names mean, so that nobody waits for somebody else's name server.

A name server that keeps silent holds whoever asks it for as long as the system is patient. So each question has a
thread of its own, a tenant has only so many of them under way, and the same question is not put twice at once.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, final
from weakref import WeakValueDictionary

AT_ONCE: Final = 64
"""Questions that are under way for all together."""
EACH: Final = 8
"""And those for one tenant."""

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses that a name has, as text; raises `OSError` where it has none."""


@final
class Lookups:
    """Puts questions to a name service."""

    def __init__(self, lookup: Lookup | None = None) -> None:
        """Ask `lookup`: the system, unless stated."""
        self._lookup = lookup or system
        self._asking: dict[str, asyncio.Task[Sequence[str]]] = {}
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._all = asyncio.Semaphore(AT_ONCE)

    async def addresses(self, name: str, tenant: str) -> Sequence[str]:
        """Return what is told of `name`; `tenant` is for whom it is asked."""
        if name not in self._asking:
            share = self._shares.setdefault(tenant, asyncio.Semaphore(EACH))
            await share.acquire()
            if name in self._asking:  # somebody else began meanwhile
                share.release()
            else:
                self._begin(name, share)
        return await asyncio.shield(self._asking[name])

    def _begin(self, name: str, share: asyncio.Semaphore) -> None:
        def over(asked: asyncio.Task[Sequence[str]]) -> None:
            share.release()
            del self._asking[name]
            _ = asked.cancelled() or asked.exception()  # who still waits is told; perhaps nobody does

        self._asking[name] = asking = asyncio.create_task(self._ask(name))
        asking.add_done_callback(over)

    async def _ask(self, name: str) -> Sequence[str]:
        async with self._all:
            return await self._lookup(name)


async def system(name: str) -> Sequence[str]:
    """Ask this machine."""
    # Neither by the loop's few threads, which others need too, nor by any that the process waits for at its end.
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Sequence[str]] = loop.create_future()

    def tell(found: Sequence[str] | Exception) -> None:
        if told.done():
            return
        if isinstance(found, Exception):
            told.set_exception(found)
        else:
            told.set_result(found)

    def ask() -> None:
        found = _found(name)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=ask, name="names", daemon=True).start()
    return await told


def _found(name: str) -> Sequence[str] | Exception:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error
    return [str(where[0]) for *_, where in found]
