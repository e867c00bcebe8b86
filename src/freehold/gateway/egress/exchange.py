"""One request of a program and its answer: begun, counted, broken off or ended, whatever it was judged by."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Protocol

from freehold.core.errors import FreeholdError, Unavailable
from freehold.gateway.asgi import Receive, Send
from freehold.gateway.calls.speaking import Speaker
from freehold.gateway.egress.metering import Session, Sessions
from freehold.gateway.egress.refusing import refuse
from freehold.gateway.outward.exchange import Answer

log = logging.getLogger(__name__)

Pairs = list[tuple[bytes, bytes]]
_GONE: Final = "caller_gone"


class Change(Protocol):
    """What becomes of an answer's bytes on their way to the program."""

    def feed(self, piece: bytes) -> Iterable[bytes]:
        """Give what may go on now that `piece` came; it may be much, and comes in pieces."""
        ...

    def end(self) -> bytes:
        """Return the rest."""
        ...


class Exchange(ABC):
    """One request and its answer."""

    def __init__(self, sessions: Sessions, speaker: Speaker, box: str, receive: Receive, send: Send) -> None:
        """Speak with a program of `speaker` by `receive` and `send`, and write it down in `sessions`."""
        self.sessions, self.speaker, self.box = sessions, speaker, box
        self.about: dict[str, Any] = {}
        """What the record tells of it."""
        self._receive, self._send = receive, send
        self._task: asyncio.Task[None] | None = None
        self._cut: FreeholdError | None = None
        self._begun = False
        self._heard = asyncio.Event()
        """The request is here to its end."""

    @abstractmethod
    async def passed_on(self) -> None:
        """Judge what is asked, send it on and answer; raise what stands against it."""

    async def run(self) -> None:
        """Answer; whatever goes wrong before an answer begins is told, and afterwards breaks it off."""
        self._task = asyncio.current_task()
        try:
            await self.passed_on()
        except asyncio.CancelledError:
            if self._cut is None:
                raise
            await self._refuse(self._cut)
        except FreeholdError as error:
            await self._refuse(error)
        except Exception:
            log.exception("What a program asked of the outside broke.")
            await self._refuse(FreeholdError("The gateway broke on this.", remedy="See its log."))

    def cut(self, error: FreeholdError) -> None:
        """End it from our side."""
        if self._cut is None and self._task is not None:
            self._cut = error
            self._task.cancel()

    @asynccontextmanager
    async def lasting(self, session: Session) -> AsyncIterator[None]:
        """Let a session last as long as the block, and write down why it ended where that was not its own doing."""
        why = "broke"
        try:
            yield
            why = ""
        except asyncio.CancelledError:
            why = self._cut.code if self._cut is not None else _GONE
            raise
        except FreeholdError as error:
            why = error.code
            raise
        finally:
            self.sessions.finish(session, why)

    async def answered(self, session: Session, answer: Answer, headers: Pairs, change: Change | None = None) -> None:
        """Pass an answer on as it comes, as long as somebody listens; its body as `change` leaves it."""
        session.address, session.status = answer.address, answer.status
        gone = asyncio.create_task(self._gone())
        try:
            async with aclosing(answer):
                await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
                self._begun = True
                async for chunk in answer.chunks:
                    session.came(len(chunk))
                    for piece in (chunk,) if change is None else change.feed(chunk):
                        if piece:
                            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
                        await asyncio.sleep(0)  # a program that reads fast lets us wait for nothing
                await self._send({"type": "http.response.body", "body": b"" if change is None else change.end()})
        finally:
            gone.cancel()

    def without_body(self) -> None:
        """Say that nobody will read the request's body."""
        self._heard.set()

    async def pieces(self, session: Session) -> AsyncIterator[bytes]:
        """Give the request's body as it comes."""
        more = True
        while more:
            event = await self._receive()
            piece, more = event.get("body", b""), event.get("more_body", False)
            try:
                if event["type"] != "http.request":
                    raise Unavailable("The program hung up.", code=_GONE)
                session.went(len(piece))
            except FreeholdError as error:
                self.cut(error)  # whoever reads these pieces would tell another story
                raise
            if piece:
                yield piece
        self._heard.set()

    async def _refuse(self, error: FreeholdError) -> None:
        if not isinstance(error, Unavailable):
            self.sessions.refused(self.speaker, self.box, about=self.about, error=error)
        if not self._begun:  # else it breaks off: there is no other way to say that what came was not all
            await refuse(self._send, error)

    async def _gone(self) -> None:
        """End it when the program hangs up: nobody reads what still comes."""
        await self._heard.wait()  # until then it is `pieces` that hears of it
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.cut(Unavailable("The program hung up.", code=_GONE))


def stated_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Return how long a body is said to be; none where it comes in chunks of any length."""
    pairs = list(headers)
    if any(name == b"transfer-encoding" for name, _ in pairs):
        return None
    stated = [value for name, value in pairs if name == b"content-length"]
    return int(stated[0]) if stated else 0
