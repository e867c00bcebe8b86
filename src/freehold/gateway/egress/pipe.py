"""
Bytes between a program and the outside, in both directions at once: counted, never piled up, ended from either side.

Whichever side takes nothing is not read for either, whoever has said all may still listen, and one that everybody has
forgotten ends by itself. What may pass, and what becomes of it on the way, is for whoever makes use of this.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import MutableSet
from typing import Any, Final, final

from typing_extensions import override

from freehold.core.errors import Exhausted, FreeholdError, Unavailable
from freehold.gateway.egress.front import Held
from freehold.gateway.egress.metering import Session, Sessions

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 300.0
"""How long one stands in which nobody says anything."""
EARLY: Final = 64 << 10
"""Bytes a program may say before the other end is there."""


class Pipe(Held, ABC):
    """The end where the program is."""

    def __init__(self, connections: MutableSet[Any], sessions: Sessions, *, early: bytes, idle: float) -> None:
        """Be one of `connections`; `early` is what was said to it already, after `idle` seconds of silence it ends."""
        super().__init__(connections)
        self._sessions, self._early, self._idle = sessions, bytearray(early), idle
        self.session: Session | None = None
        """What counts it, once it is written down."""
        self._far: Far | None = None
        self._opening: asyncio.Task[None] | None = None
        self._over = self._ended = False
        self.lost = False
        """Whether the program is gone."""
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @abstractmethod
    async def dialled(self) -> None:
        """Judge, write down, and connect what `far` returns; raise what keeps from it."""

    @abstractmethod
    def outward(self, data: bytes, *, last: bool) -> bytes:
        """Return what goes out for what the program said; raise what tells why for what never may."""

    @abstractmethod
    def inward(self, data: bytes) -> bytes:
        """Return what the program is given for what came."""

    @abstractmethod
    def parting(self, error: FreeholdError, *, stood: bool) -> bytes:
        """Return what the program is told of why this ends; `stood`: after it was told that it stands."""

    @abstractmethod
    def note(self, error: FreeholdError) -> None:
        """Write down what was refused."""

    def far(self) -> "Far":
        """Return a new other end; of several that are tried, the last is the one."""
        self._far = Far(self)
        return self._far

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._opening = asyncio.get_running_loop().create_task(self._open())

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost = True
        if (far := self._standing()) is not None:
            far.transport.close()
            self._look_whether_over()
        elif self.session is not None and self._opening is not None:
            self._opening.cancel()  # never while it is being written down: that comes to its end

    @override
    def data_received(self, data: bytes) -> None:
        if self._standing() is not None:
            self._say(data)
            return
        self._early += data
        if len(self._early) > EARLY:
            self.transport.pause_reading()

    @override
    def eof_received(self) -> bool:
        self._ended = True
        self._hang_up()
        return True

    @override
    def pause_writing(self) -> None:
        if (far := self._standing()) is not None:
            far.transport.pause_reading()

    @override
    def resume_writing(self) -> None:
        if (far := self._standing()) is not None and not far.transport.is_closing():
            far.transport.resume_reading()

    @abstractmethod
    def greeting(self) -> bytes:
        """Return what the program is told once the other end is there; it may be nothing."""

    def reached(self) -> None:
        """Tell the program that the other end is there, and pass on what it said before."""
        self._heard_at = asyncio.get_running_loop().time()
        self._watch()
        self.transport.write(self.greeting())
        early, self._early = bytes(self._early), bytearray()
        self.transport.resume_reading()
        self._say(early)
        if self._ended:
            self._hang_up()

    def send(self, data: bytes) -> None:
        """Send something of our own to the other end."""
        if (far := self._standing()) is not None:
            far.transport.write(data)

    def came(self, data: bytes) -> None:
        """Pass on what came from outside."""
        if self._over:
            return
        try:
            self._counted().came(len(data))
            data = self.inward(data)
        except Exhausted as error:
            self.cut(error)
        except FreeholdError as error:
            self._refuse(error)
        else:
            self.transport.write(data)

    def far_ended(self) -> None:
        """Tell the program that nothing more comes."""
        if not self.transport.is_closing():
            self.transport.write_eof()
            self._look_whether_all_is_said()

    def far_lost(self) -> None:
        """Let go: there is no other side any more."""
        self.transport.close()
        self._look_whether_over()

    def cut(self, error: FreeholdError) -> None:
        """End it at once, both ways."""
        if self._over:
            return
        self._finish(error.code)
        if self._opening is not None:
            self._opening.cancel()
        if (far := self._standing()) is not None:
            far.transport.abort()
            self.transport.abort()
        else:
            self._part(error)

    def _standing(self) -> "Far | None":
        """Return the other end, if it was reached."""
        return self._far if self._far is not None and self._far.stands else None

    def _say(self, data: bytes, *, last: bool = False) -> None:
        far = self._standing()
        if self._over or far is None or not (data or last):
            return
        try:
            data = self.outward(data, last=last)
            self._counted().went(len(data))
        except Exhausted as error:
            self.cut(error)
        except FreeholdError as error:
            self._refuse(error)
        else:
            far.transport.write(data)

    def _hang_up(self) -> None:
        self._say(b"", last=True)
        if (far := self._standing()) is not None and not far.transport.is_closing():
            far.hang_up()
            self._look_whether_all_is_said()

    def _look_whether_all_is_said(self) -> None:
        if self._ended and (far := self._standing()) is not None and far.ended:
            far.transport.close()
            self.transport.close()

    def _look_whether_over(self) -> None:
        """Finish once both sides are gone: until then something may still be on its way to one of them."""
        if self.lost and self._far is not None and self._far.lost:
            self._finish("")

    def _counted(self) -> Session:
        self._heard_at = asyncio.get_running_loop().time()
        if self.session is None:
            raise RuntimeError("Nothing stands that was not written down.")
        return self.session

    async def _open(self) -> None:
        try:
            await self.dialled()
        except FreeholdError as error:
            self._refuse(error)
        except asyncio.CancelledError:
            self._finish("caller_gone")
        except Exception:
            log.exception("A way out broke.")
            self._refuse(FreeholdError("The gateway broke on this.", remedy="See its log."))

    def _refuse(self, error: FreeholdError) -> None:
        self._finish(error.code)
        if not isinstance(error, Unavailable):
            self.note(error)
        self._part(error)

    def _part(self, error: FreeholdError) -> None:
        """Say why, and let both ends go."""
        far = self._standing()
        if not self.transport.is_closing():
            self.transport.write(self.parting(error, stood=far is not None))
            self.transport.close()
        if far is not None:
            far.transport.abort()

    def _finish(self, why: str) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self.session is not None:
            self._sessions.finish(self.session, why)

    def _watch(self) -> None:
        """Look now and then whether anybody still says anything."""
        loop = asyncio.get_running_loop()
        left = self._heard_at + self._idle - loop.time()
        if left <= 0:
            self.cut(Unavailable("Nobody said anything.", code="idle"))
        else:
            self._timer = loop.call_later(left, self._watch)


@final
class Far(asyncio.Protocol):
    """The other end: the server."""

    def __init__(self, near: Pipe) -> None:
        """Carry to and from `near`."""
        self._near = near
        self.transport: asyncio.Transport
        self.stands = self.ended = self.lost = False

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        if self._near.transport.is_closing():
            transport.abort()
            return
        self.stands = True
        self._near.reached()

    def hang_up(self) -> None:
        """Say that nothing more comes; where that cannot be said alone, it ends."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    @override
    def data_received(self, data: bytes) -> None:
        self._near.came(data)

    @override
    def eof_received(self) -> bool:
        self.ended = True
        self._near.far_ended()
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self.stands:
            self._near.far_lost()

    @override
    def pause_writing(self) -> None:
        self._near.transport.pause_reading()

    @override
    def resume_writing(self) -> None:
        if not self._near.transport.is_closing():
            self._near.transport.resume_reading()
