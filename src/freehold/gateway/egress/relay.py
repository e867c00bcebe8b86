"""
`/egress/CONNECTION/PATH`: a program's request, sent on by a connection with the credential it never sees.

What goes out is made here, of what the connection allows; of the caller's own headers only those that say nothing
about who asks go with it. What comes back is passed on as it comes, without the credential, and a redirect only as far
as the connection itself leads.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, final

from sqlalchemy import Connection as Tx

from freehold.core.errors import Denied, Exhausted, FreeholdError, Invalid, NotFound, Unavailable
from freehold.failpoints import reach
from freehold.gateway import connections
from freehold.gateway.asgi import App, Receive, Scope, Send
from freehold.gateway.calls.speaking import Speaker
from freehold.gateway.connections import Connected, Drivers
from freehold.gateway.credentials import opened_for
from freehold.gateway.egress import standing
from freehold.gateway.egress.metering import Session, Sessions
from freehold.gateway.egress.refusing import refuse
from freehold.gateway.keeping import Keep
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.exchange import Answer, Sent
from freehold.gateway.requesting import answers, shaping
from freehold.gateway.requesting.scrubbing import Blot
from freehold.gateway.requesting.shaping import Shaped
from freehold.gateway.requesting.unpacking import Unpacked

log = logging.getLogger(__name__)

PREFIX: Final = "/egress/"
KIND: Final = "http"
"""The kind of connection that programs may use; of all others a program has no use, or no business."""
SENT_WHOLE: Final = 1 << 20
"""Bytes of a body that is read whole before it is sent, so that the outside is told its length."""

Ready = Callable[[str, str], Awaitable[None]]
"""Sees to it that the connection (tenant, name) can be opened, before a transaction opens it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a program asks for."""

    connection: str
    method: str
    path: str
    """As it was written, from behind the connection's name on."""
    query: str
    headers: list[tuple[str, str]]

    def said(self, header: str) -> list[str]:
        """Return all that was said by a header."""
        return [value for name, value in self.headers if name == header]


@final
class Relay:
    """Sends requests of programs on by connections."""

    def __init__(self, keep: Keep, drivers: Drivers, sessions: Sessions, client: Client, ready: Ready) -> None:
        """Find connections among `drivers`' kinds, and send through `client`."""
        self._keep, self._drivers, self._sessions, self._client = keep, drivers, sessions, client
        self._ready = ready

    def of(self, speaker: Speaker, box: str) -> App:
        """Return what answers requests of `speaker`."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await _Exchange(self, speaker, box, scope, receive, send).run()

        return answer

    async def begin(
        self, speaker: Speaker, box: str, wanted: _Wanted, cut: Callable[[FreeholdError], None]
    ) -> tuple[Session, Connected, Shaped]:
        """Judge what is wanted and write it down; return the session, and what is sent where."""
        tenant = speaker.whom.tenant
        operation = standing.require_grant(speaker, wanted.connection, wanted.method)
        await self._ready(tenant, wanted.connection)
        found: list[tuple[Connected, Shaped]] = []
        about = {"connection": wanted.connection, "operation": operation}

        def shape_it(tx: Tx) -> None:
            connected = connections.find(tx, self._drivers, tenant=tenant, name=wanted.connection)
            if connected is None or connected.kind != KIND:
                raise connections.missing(wanted.connection)
            credential = opened_for(tx, self._keep, connected)
            shaped = shaping.shape(
                connected.config, credential, wanted.method, wanted.path, wanted.query, wanted.headers
            )
            about["path"] = shaping.target(connected.config, shaped.path)
            found.append((connected, shaped))

        session = await self._sessions.begin(
            speaker, box, provider=wanted.connection, about=about, cut=cut, also=shape_it
        )
        return session, *found[-1]

    async def send(self, sent: Sent, connected: Connected, tenant: str) -> Answer:
        """Send a request and return its answer from the head on."""
        return await self._client.send(sent, connected.behalf(tenant), lambda: reach("gateway", "sent"))

    @property
    def most(self) -> int:
        """How many bytes an answer may come to when it is unpacked."""
        return self._sessions.limits.most_bytes

    def finish(self, session: Session, why: str) -> None:
        """Write down that it is over."""
        self._sessions.finish(session, why)

    async def refused(self, speaker: Speaker, box: str, wanted: _Wanted | None, error: FreeholdError) -> None:
        """Write down what was refused."""
        about: dict[str, Any] = {}
        if wanted is not None:
            about = {"connection": wanted.connection, "method": wanted.method[:20], "path": wanted.path[:200]}
        await self._sessions.refused(speaker, box, about=about, error=error)


@final
class _Exchange:
    """One request and its answer."""

    def __init__(self, relay: Relay, speaker: Speaker, box: str, scope: Scope, receive: Receive, send: Send) -> None:
        self._relay, self._speaker, self._box = relay, speaker, box
        self._scope, self._receive, self._send = scope, receive, send
        self._task: asyncio.Task[None] | None = None
        self._cut: FreeholdError | None = None
        self._begun = False

    async def run(self) -> None:
        """Answer; whatever goes wrong before an answer begins is told, and afterwards breaks it off."""
        self._task = asyncio.current_task()
        wanted: _Wanted | None = None
        try:
            wanted = _wanted(self._scope)
            await self._relayed(wanted)
        except asyncio.CancelledError:
            if self._cut is None:
                raise
            await self._refuse(wanted, self._cut)
        except FreeholdError as error:
            await self._refuse(wanted, error)
        except Exception:
            log.exception("A request by a connection broke.")
            await self._refuse(wanted, FreeholdError("The gateway broke on this.", remedy="See its log."))

    def _end(self, error: FreeholdError) -> None:
        """End it from our side."""
        if self._cut is None and self._task is not None:
            self._cut = error
            self._task.cancel()

    async def _refuse(self, wanted: _Wanted | None, error: FreeholdError) -> None:
        if isinstance(error, Denied | Invalid | NotFound | Exhausted):
            await self._relay.refused(self._speaker, self._box, wanted, error)
        if not self._begun:  # else it breaks off: there is no other way to say that what came was not all
            await refuse(self._send, error)

    async def _relayed(self, wanted: _Wanted) -> None:
        session, connected, shaped = await self._relay.begin(self._speaker, self._box, wanted, self._end)
        why = "broke"
        try:
            sent = await self._sent(session, wanted, shaped)
            answer = await self._relay.send(sent, connected, self._speaker.whom.tenant)
            session.address, session.status = answer.address, answer.status
            async with aclosing(answer.chunks):
                await self._answered(session, connected, shaped, answer)
            why = ""
        except asyncio.CancelledError:
            why = self._cut.code if self._cut is not None else "caller_gone"
            raise
        except FreeholdError as error:
            why = error.code
            raise
        finally:
            self._relay.finish(session, why)

    async def _sent(self, session: Session, wanted: _Wanted, shaped: Shaped) -> Sent:
        """Return what goes out: the body whole where it is short, else its pieces as they come."""
        length = _length(wanted)
        if length is not None and length <= SENT_WHOLE:
            body = b"".join([piece async for piece in self._pieces(session)])
            return Sent(method=wanted.method, url=shaped.url, headers=shaped.headers, body=body)
        stated = {} if length is None else {"Content-Length": str(length)}
        return Sent(
            method=wanted.method, url=shaped.url, headers={**shaped.headers, **stated}, pieces=self._pieces(session)
        )

    async def _answered(self, session: Session, connected: Connected, shaped: Shaped, answer: Answer) -> None:
        blot = Blot(*shaped.blotted)
        unpacked = Unpacked(answer.headers.get("content-encoding", ""), self._relay.most)
        told = answers.headers(answer.headers, blot, base=shaped.base, prefix=f"{PREFIX}{connected.name}")
        headers = [
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in told.items()
        ]
        gone = asyncio.create_task(self._gone())
        try:
            await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
            self._begun = True
            async for chunk in answer.chunks:
                session.came(len(chunk))
                if piece := blot.feed(unpacked.feed(chunk)):
                    await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            unpacked.end()
            await self._send({"type": "http.response.body", "body": blot.end()})
        finally:
            gone.cancel()

    async def _pieces(self, session: Session) -> AsyncIterator[bytes]:
        more = True
        while more:
            event = await self._receive()
            if event["type"] != "http.request":
                raise Unavailable("The program hung up.", code="caller_gone")
            piece, more = event.get("body", b""), event.get("more_body", False)
            session.went(len(piece))
            if piece:
                yield piece

    async def _gone(self) -> None:
        """End it when the program hangs up: nobody reads what still comes."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._end(Unavailable("The program hung up.", code="caller_gone"))


def _wanted(scope: Scope) -> _Wanted:
    raw = bytes(scope["raw_path"]).decode("latin-1")
    connection, slash, path = raw.removeprefix(PREFIX).partition("/")
    if not connection:
        raise Invalid("This names no connection.", code="path_refused", remedy="Ask for /egress/CONNECTION/PATH.")
    return _Wanted(
        connection=connection,
        method=str(scope["method"]),
        path=slash + path,
        query=bytes(scope["query_string"]).decode("latin-1"),
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
    )


def _length(wanted: _Wanted) -> int | None:
    """Return how long the body is said to be; none where it comes in chunks of any length."""
    if wanted.said("transfer-encoding"):
        return None
    stated = wanted.said("content-length")
    return int(stated[0]) if stated else 0
