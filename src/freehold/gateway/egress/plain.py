"""
A request that names another machine: what programs send a proxy for addresses without TLS.

The host is judged as for a tunnel. What a proxy is told goes no further, nothing is added to it, no redirect is
followed: a program that follows one asks anew and is judged anew.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, final

from freehold.core.errors import FreeholdError, Invalid, Unavailable
from freehold.failpoints import reach
from freehold.gateway.asgi import App, Receive, Scope, Send
from freehold.gateway.asked import Behalf
from freehold.gateway.calls.knocking import TARGET
from freehold.gateway.calls.speaking import Speaker
from freehold.gateway.egress.judging import Judge
from freehold.gateway.egress.metering import Session, Sessions
from freehold.gateway.egress.refusing import refuse
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.exchange import Answer, Sent
from freehold.gateway.outward.hosts import Place, place_in

log = logging.getLogger(__name__)

Pairs = list[tuple[bytes, bytes]]

_BETWEEN: Final = frozenset(
    {
        b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings",
        b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip",
    }
)  # fmt: skip
"""Headers between two machines next to each other."""
_OURS: Final = frozenset({b"host", b"expect", b"content-length"})
"""Headers of a request that are said anew, by what is sent."""
_NAMED: Final = {b"accept-encoding": "Accept-Encoding", b"user-agent": "User-Agent"}
"""Headers that the client would say by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a program asks for."""

    method: str
    url: str
    place: Place
    headers: dict[str, str]

    @property
    def about(self) -> dict[str, Any]:
        """What the record tells of it."""
        return {"host": self.place.host.name, "port": self.place.port, "method": self.method, "way": "plain"}


@final
class Plain:
    """Answers programs that speak to their box as to a proxy."""

    def __init__(self, sessions: Sessions, judge: Judge, client: Client) -> None:
        """Write down in `sessions`, go where `judge` lets, send through `client`."""
        self.sessions, self._judge, self._client = sessions, judge, client

    def __call__(self, speaker: Speaker, box: str) -> App:
        """Return what answers a program of `speaker`."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await _Exchange(self, speaker, box, receive, send).run(scope)

        return answer

    async def address(self, place: Place, speaker: Speaker) -> str:
        """Return what `place` was judged to be."""
        return str((await self._judge.addresses(place, speaker))[0])

    async def send(self, sent: Sent, speaker: Speaker) -> Answer:
        """Send a request and return its answer from the head on."""
        return await self._client.send(sent, Behalf(speaker.whom.tenant), lambda: reach("gateway", "sent"))


@final
class _Exchange:
    """One request and its answer."""

    def __init__(self, plain: Plain, speaker: Speaker, box: str, receive: Receive, send: Send) -> None:
        self._plain, self._speaker, self._box = plain, speaker, box
        self._receive, self._send = receive, send
        self._task: asyncio.Task[None] | None = None
        self._cut: FreeholdError | None = None
        self._begun = False

    async def run(self, scope: Scope) -> None:
        """Answer; whatever goes wrong before an answer begins is told, and afterwards breaks it off."""
        self._task, about = asyncio.current_task(), dict[str, Any]()
        try:
            wanted = _wanted(scope)
            about = wanted.about
            await self._passed_on(wanted, scope)
        except asyncio.CancelledError:
            if self._cut is None:
                raise
            await self._refuse(self._cut, about)
        except FreeholdError as error:
            await self._refuse(error, about)
        except Exception:
            log.exception("A request to a host broke.")
            await self._refuse(FreeholdError("The gateway broke on this.", remedy="See its log."), about)

    def _end(self, error: FreeholdError) -> None:
        """End it from our side."""
        if self._cut is None and self._task is not None:
            self._cut = error
            self._task.cancel()

    async def _refuse(self, error: FreeholdError, about: dict[str, Any]) -> None:
        if not isinstance(error, Unavailable):
            await self._plain.sessions.refused(self._speaker, self._box, about=about, error=error)
        if self._begun:
            raise error  # there is no other way to tell a program that what came was not all
        await refuse(self._send, error)

    async def _passed_on(self, wanted: _Wanted, scope: Scope) -> None:
        sessions = self._plain.sessions
        about = wanted.about | {"address": await self._plain.address(wanted.place, self._speaker)}
        session = await sessions.begin(
            self._speaker, self._box, provider=wanted.place.host.name, about=about, cut=self._end
        )
        why = "broke"
        try:
            pieces = self._pieces(session) if _has_body(scope["headers"]) else None
            sent = Sent(method=wanted.method, url=wanted.url, headers=wanted.headers, pieces=pieces)
            answer = await self._plain.send(sent, self._speaker)
            session.address, session.status = answer.address, answer.status
            async with aclosing(answer.chunks):
                await self._answered(session, answer)
            why = ""
        except asyncio.CancelledError:
            why = self._cut.code if self._cut is not None else "caller_gone"
            raise
        except FreeholdError as error:
            why = error.code
            if isinstance(error, Unavailable):
                error.status = 504 if error.code == "server_timeout" else 502
            raise
        finally:
            sessions.finish(session, why)

    async def _answered(self, session: Session, answer: Answer) -> None:
        gone = asyncio.create_task(self._gone())
        try:
            head = {"status": answer.status, "headers": onward(answer.pairs)}
            await self._send({"type": "http.response.start"} | head)
            self._begun = True
            async for chunk in answer.chunks:
                session.came(len(chunk))
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            await self._send({"type": "http.response.body", "body": b""})
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


def onward(pairs: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """Return the headers that go on to the next machine, their names in lower case."""
    lower = [(name.lower(), value) for name, value in pairs]
    named = {one.strip().lower() for name, value in lower if name == b"connection" for one in value.split(b",")}
    return [
        (name, value)
        for name, value in lower
        if name not in _BETWEEN and name not in named and not name.startswith(b"proxy-")
    ]


def _wanted(scope: Scope) -> _Wanted:
    url = bytes(scope[TARGET]).decode("latin-1")
    scheme = url.partition(":")[0].lower()
    if scheme == "https":
        raise Invalid(
            "An address with TLS is asked for without it.",
            code="bad_address",
            status=400,
            remedy="Ask for a tunnel with CONNECT, as programs do that read HTTPS_PROXY.",
        )
    place = place_in(url)
    if scheme != "http" or "#" in url:
        raise Invalid(
            "This is no address for a proxy.", code="bad_address", status=400, remedy="Ask for http://HOST/PATH."
        )
    return _Wanted(method=str(scope["method"]), url=url, place=place, headers=_headers(scope["headers"]))


def _headers(pairs: Pairs) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in onward(pairs):
        if name not in _OURS:
            key, said = _NAMED.get(name, name.decode("latin-1")), value.decode("latin-1")
            found[key] = f"{found[key]}, {said}" if key in found else said
    length = [value for name, value in pairs if name == b"content-length"]
    if length and not any(name == b"transfer-encoding" for name, _ in pairs):
        found["content-length"] = length[0].decode("latin-1")
    return found


def _has_body(pairs: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in pairs)
