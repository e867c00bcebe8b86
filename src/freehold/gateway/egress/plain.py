"""
A request that names another machine: what programs send a proxy for addresses without TLS.

The host is judged as for a tunnel. What a proxy is told goes no further, nothing is added to it, no redirect is
followed: a program that follows one asks anew and is judged anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, final

from typing_extensions import override

from freehold.core.errors import Invalid, Unavailable
from freehold.failpoints import reach
from freehold.gateway.asgi import App, Receive, Scope, Send
from freehold.gateway.asked import Behalf
from freehold.gateway.calls.knocking import TARGET
from freehold.gateway.calls.speaking import Speaker
from freehold.gateway.egress.exchange import Exchange, Pairs, stated_length
from freehold.gateway.egress.judging import Judge
from freehold.gateway.egress.metering import Sessions
from freehold.gateway.egress.refusing import SAYS
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.exchange import Answer, Sent
from freehold.gateway.outward.hosts import Place, place_in
from freehold.gateway.requesting.callers import HOPS, TRACES

_BETWEEN: Final = frozenset(name.encode() for name in HOPS | TRACES)
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

    def of(self, speaker: Speaker, box: str) -> App:
        """Return what answers requests of `speaker`; what was asked for is in the scope as `TARGET`."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await _PassedOn(self, speaker, box, scope, receive, send).run()

        return answer

    async def address(self, place: Place, speaker: Speaker) -> str:
        """Return what `place` was judged to be."""
        return str((await self._judge.addresses(place, speaker))[0])

    async def send(self, sent: Sent, speaker: Speaker) -> Answer:
        """Send a request and return its answer from the head on."""
        return await self._client.send(sent, Behalf(speaker.whom.tenant), lambda: reach("gateway", "sent"))


@final
class _PassedOn(Exchange):
    """One request to a host that it names."""

    def __init__(self, plain: Plain, speaker: Speaker, box: str, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(plain.sessions, speaker, box, receive, send)
        self._plain, self._scope = plain, scope

    @override
    async def passed_on(self) -> None:
        wanted = _wanted(self._scope)
        self.about = wanted.about
        about = wanted.about | {"address": await self._plain.address(wanted.place, self.speaker)}
        session = await self.sessions.begin(
            self.speaker, self.box, provider=wanted.place.host.name, about=about, cut=self.cut
        )
        async with self.lasting(session):
            pieces = self.pieces(session) if stated_length(self._scope["headers"]) != 0 else None
            if pieces is None:
                self.without_body()
            sent = Sent(method=wanted.method, url=wanted.url, headers=wanted.headers, pieces=pieces)
            try:
                answer = await self._plain.send(sent, self.speaker)
            except Unavailable as error:
                error.status = 504 if error.code == "server_timeout" else 502
                raise
            await self.answered(session, answer, onward(answer.pairs))


def onward(pairs: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """Return the headers that go on to the next machine, their names in lower case."""
    lower = [(name.lower(), value) for name, value in pairs]
    named = {one.strip().lower() for name, value in lower if name == b"connection" for one in value.split(b",")}
    return [
        (name, value)
        for name, value in lower
        if name not in _BETWEEN and name not in named and name != SAYS and not name.startswith(b"proxy-")
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
    length = stated_length(pairs)
    return found | ({"content-length": str(length)} if length else {})
