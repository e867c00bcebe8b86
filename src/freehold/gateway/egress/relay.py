"""
`/egress/CONNECTION/PATH`: a program's request, sent on by a connection with the credential it never sees.

What goes out is made here, of what the connection allows; of the caller's own headers only those that say nothing
about who asks go with it. What comes back is passed on as it comes, without the credential, and a redirect only as far
as the connection itself leads.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

from sqlalchemy import Connection as Tx
from typing_extensions import override

from freehold.core.errors import Denied, FreeholdError, Invalid
from freehold.failpoints import reach
from freehold.gateway import connections, ways
from freehold.gateway.asgi import App, Receive, Scope, Send
from freehold.gateway.calls.speaking import Speaker
from freehold.gateway.connections import Connected, Drivers
from freehold.gateway.credentials import opened_for
from freehold.gateway.egress import standing
from freehold.gateway.egress.exchange import Exchange, Pairs, stated_length
from freehold.gateway.egress.metering import Session, Sessions
from freehold.gateway.keeping import Keep
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.exchange import Answer, Sent
from freehold.gateway.requesting import answers, shaping
from freehold.gateway.requesting.scrubbing import Blot
from freehold.gateway.requesting.shaping import Shaped
from freehold.gateway.requesting.unpacking import Unpacked

PREFIX: Final = "/egress/"
KIND: Final = "http"
"""The kind of connection that programs may use; of all others a program has no use, or no business."""
SENT_WHOLE: Final = 1 << 20
"""Bytes of a body that is read whole before it is sent, so that the outside is told its length."""

UNAUTHORIZED: Final = 401


class Accounts(Protocol):
    """Looks after the accounts behind connections."""

    async def ready(self, tenant: str, name: str) -> None:
        """See to it that a connection can be opened, before a transaction opens it."""
        ...

    async def doubted(self, tenant: str, name: str) -> None:
        """Take note that a server does not know what opened a connection."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a program asks for."""

    connection: str
    method: str
    path: str
    """As it was written, from behind the connection's name on."""
    query: str
    headers: list[tuple[str, str]]

    @property
    def about(self) -> dict[str, Any]:
        """What the record tells of it until it is judged."""
        return {"connection": self.connection[:80], "method": self.method[:20], "path": self.path[:200]}


@final
class Relay:
    """Sends requests of programs on by connections."""

    def __init__(self, keep: Keep, drivers: Drivers, sessions: Sessions, client: Client, accounts: Accounts) -> None:
        """Find connections among `drivers`' kinds, and send through `client`."""
        self.sessions = sessions
        self._keep, self._drivers, self._client, self._accounts = keep, drivers, client, accounts

    def of(self, speaker: Speaker, box: str) -> App:
        """Return what answers requests of `speaker`."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await _Relayed(self, speaker, box, scope, receive, send).run()

        return answer

    async def begin(
        self, speaker: Speaker, box: str, wanted: Wanted, cut: Callable[[FreeholdError], None]
    ) -> tuple[Session, Connected, Shaped]:
        """Judge what is wanted and write it down; return the session, and what is sent where."""
        tenant = speaker.whom.tenant
        operation = standing.require_grant(speaker, wanted.connection, wanted.method)
        await self._accounts.ready(tenant, wanted.connection)
        found: list[tuple[Connected, Shaped]] = []
        marks: list[str] = []
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
            marks.append(ways.mark_of(tx, connected))

        def still(tx: Tx) -> None:
            connected = connections.find(tx, self._drivers, tenant=tenant, name=wanted.connection)
            if connected is None or ways.mark_of(tx, connected) != marks[-1]:
                raise Denied(
                    "The connection is not what it was when this began.",
                    code="connection_changed",
                    remedy="Ask again: what goes out goes by the connection as it is now.",
                )

        session = await self.sessions.begin(
            speaker, box, provider=wanted.connection, about=about, cut=cut, also=shape_it, still=still
        )
        return session, *found[-1]

    async def send(self, sent: Sent, connected: Connected, tenant: str) -> Answer:
        """Send a request and return its answer from the head on."""
        answer = await self._client.send(sent, connected.behalf(tenant), lambda: reach("gateway", "sent"))
        if answer.status == UNAUTHORIZED:
            await self._accounts.doubted(tenant, connected.name)
        return answer


@final
class _Relayed(Exchange):
    """One request by a connection."""

    def __init__(self, relay: Relay, speaker: Speaker, box: str, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(relay.sessions, speaker, box, receive, send)
        self._relay, self._scope = relay, scope

    @override
    async def passed_on(self) -> None:
        wanted = _wanted(self._scope)
        self.about = wanted.about
        session, connected, shaped = await self._relay.begin(self.speaker, self.box, wanted, self.cut)
        async with self.lasting(session):
            sent = await self._sent(session, wanted, shaped)
            answer = await self._relay.send(sent, connected, self.speaker.whom.tenant)
            async with aclosing(answer):
                change = _Cleaned(answer, shaped, most=self.sessions.limits.most_bytes)
                await self.answered(session, answer, change.headers(f"{PREFIX}{connected.name}"), change)

    async def _sent(self, session: Session, wanted: Wanted, shaped: Shaped) -> Sent:
        """Return what goes out: the body whole where it is short, else its pieces as they come."""
        length = stated_length(self._scope["headers"])
        if length is not None and length <= SENT_WHOLE:
            body = b"".join([piece async for piece in self.pieces(session)])
            return Sent(method=wanted.method, url=shaped.url, headers=shaped.headers, body=body)
        stated = {} if length is None else {"Content-Length": str(length)}
        headers = {**shaped.headers, **stated}
        return Sent(method=wanted.method, url=shaped.url, headers=headers, pieces=self.pieces(session))


@final
class _Cleaned:
    """An answer without the credential, wherever it is cut and however it is packed."""

    def __init__(self, answer: Answer, shaped: Shaped, *, most: int) -> None:
        self._answer, self._base = answer, shaped.base
        self._blot = Blot(*shaped.blotted)
        self._unpacked = Unpacked(answer.headers.get("content-encoding", ""), most)

    def headers(self, prefix: str) -> Pairs:
        """Return what the program is told; redirects that stay at the connection lead below `prefix`."""
        told = answers.headers(self._answer.headers, self._blot, base=self._base, prefix=prefix)
        return [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in told.items()]

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Give what may go on now that `piece` came."""
        return map(self._blot.feed, self._unpacked.pieces(piece))

    def end(self) -> bytes:
        """Return the rest."""
        self._unpacked.end()
        return self._blot.end()


def wanted_of(method: str, raw_path: str, query: str, headers: Iterable[tuple[bytes, bytes]]) -> Wanted:
    """Return what a request for `raw_path` is for; raise `Invalid` (`path_refused`) if it names no connection."""
    connection, slash, path = raw_path.removeprefix(PREFIX).partition("/")
    if not connection:
        raise Invalid("This names no connection.", code="path_refused", remedy="Ask for /egress/CONNECTION/PATH.")
    said = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    return Wanted(connection=connection, method=method, path=slash + path, query=query, headers=said)


def _wanted(scope: Scope) -> Wanted:
    raw_path, query = bytes(scope["raw_path"]).decode("latin-1"), bytes(scope["query_string"]).decode("latin-1")
    return wanted_of(str(scope["method"]), raw_path, query, scope["headers"])
