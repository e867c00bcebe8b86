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
from freehold.gateway.ports import Credential
from freehold.gateway.requesting import answers, shaping

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
    headers: list[tuple[bytes, bytes]]


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
    ) -> tuple[Session, Connected, Credential]:
        """Judge what is wanted and write it down; return the session, and the connection with what opens it."""
        tenant = speaker.whom.tenant
        operation = standing.require_grant(speaker, wanted.connection, wanted.method)
        await self._ready(tenant, wanted.connection)
        found: list[tuple[Connected, Credential]] = []

        def open_it(tx: Tx) -> None:
            connected = connections.find(tx, self._drivers, tenant=tenant, name=wanted.connection)
            if connected is None or connected.kind != KIND:
                raise connections.missing(wanted.connection)
            shaping.require(connected.config, wanted.method, wanted.path)
            found.append((connected, opened_for(tx, self._keep, connected)))

        about = {"connection": wanted.connection, "operation": operation, "path": wanted.path}
        session = await self._sessions.begin(
            speaker, box, provider=wanted.connection, about=about, cut=cut, also=open_it
        )
        return session, *found[-1]

    async def send(self, sent: Sent, connected: Connected, tenant: str) -> Answer:
        """Send a request and return its answer from the head on."""
        return await self._client.send(sent, connected.behalf(tenant), lambda: reach("gateway", "sent"))

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
        if self._begun:
            raise error  # there is no other way to tell a caller that what came was not all
        await refuse(self._send, error)

    async def _relayed(self, wanted: _Wanted) -> None:
        session, connected, credential = await self._relay.begin(self._speaker, self._box, wanted, self._end)
        why = "broke"
        try:
            shaped = shaping.shape(
                connected.config,
                credential,
                method=wanted.method,
                path=wanted.path,
                query=wanted.query,
                headers=wanted.headers,
            )
            body, pieces = await self._body(session, wanted)
            headers = dict(shaped.headers)
            if pieces is not None and (length := _length(wanted)) is not None:
                headers["content-length"] = str(length)
            sent = Sent(method=wanted.method, url=shaped.url, headers=headers, body=body, pieces=pieces)
            answer = await self._relay.send(sent, connected, self._speaker.whom.tenant)
            session.address, session.status = answer.address, answer.status
            async with aclosing(answer.chunks):
                await self._answered(session, connected, credential, wanted, answer)
            why = ""
        except asyncio.CancelledError:
            why = self._cut.code if self._cut is not None else "caller_gone"
            raise
        except FreeholdError as error:
            why = error.code
            raise
        finally:
            self._relay.finish(session, why)

    async def _answered(
        self, session: Session, connected: Connected, credential: Credential, wanted: _Wanted, answer: Answer
    ) -> None:
        prefix = f"{PREFIX}{connected.name}"
        passed = answers.Passed(connected.config, credential, answer, prefix=prefix)
        gone = asyncio.create_task(self._gone())
        try:
            await self._send({"type": "http.response.start", "status": answer.status, "headers": passed.headers})
            self._begun = True
            async for chunk in answer.chunks:
                session.came(len(chunk))
                if piece := passed.feed(chunk):
                    await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            await self._send({"type": "http.response.body", "body": passed.end()})
        finally:
            gone.cancel()

    async def _body(self, session: Session, wanted: _Wanted) -> tuple[bytes, AsyncIterator[bytes] | None]:
        """Return the body whole where it is short, else the pieces as they come."""
        length = _length(wanted)
        if length is not None and length <= SENT_WHOLE:
            return b"".join([piece async for piece in self._pieces(session)]), None
        return b"", self._pieces(session)

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
        path=slash + path or "/",
        query=bytes(scope["query_string"]).decode("latin-1"),
        headers=list(scope["headers"]),
    )


def _length(wanted: _Wanted) -> int | None:
    """Return how long the body is said to be; none where it comes in chunks of any length."""
    stated = [value for name, value in wanted.headers if name == b"content-length"]
    chunked = any(name == b"transfer-encoding" for name, _ in wanted.headers)
    if chunked:
        return None
    return int(stated[0]) if stated else 0
