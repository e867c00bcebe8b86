"""
CONNECT: bytes carried between a program and a host that was granted, unread but for the first words.

What a tunnel leads to is judged like everything else: the grant, the guard, the record, and only then the connection,
to exactly the address that was judged. On the port of HTTPS nothing goes out before the program has said, in a
ClientHello, that it wants the host it asked for: else a grant of one host were a way to all that share its address.
"""

from typing import Any, Final, final

from typing_extensions import override

from freehold.core.errors import FreeholdError, Invalid, Unavailable
from freehold.gateway.calls.knocking import Knock
from freehold.gateway.egress.dialling import dial
from freehold.gateway.egress.front import Held, Said
from freehold.gateway.egress.gate import Gate
from freehold.gateway.egress.judging import Judge
from freehold.gateway.egress.metering import Sessions
from freehold.gateway.egress.pipe import IDLE_SECONDS, Pipe
from freehold.gateway.egress.refusing import spelt
from freehold.gateway.outward.hosts import Place, place_of

CONNECT: Final = "CONNECT"
STANDS: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"
LONGEST_HOST: Final = 80
"""Letters of what is no host that are written down."""
_BODY: Final = frozenset({b"content-length", b"transfer-encoding", b"upgrade"})


@final
class Tunnels:
    """Opens tunnels for programs."""

    def __init__(self, sessions: Sessions, judge: Judge, *, idle: float = IDLE_SECONDS) -> None:
        """Write down in `sessions`, go where `judge` lets; end a tunnel that was silent for `idle` seconds."""
        self.sessions, self.judge, self.idle = sessions, judge, idle

    def open(self, knock: Knock, said: Said) -> Held | None:
        """Return the tunnel that is asked for, if one is; raise `Invalid` for a wish that makes no sense."""
        if said.method != CONNECT:
            return None
        if any(name in _BODY and value.strip() != b"0" for name, value in said.headers):
            raise Invalid(
                "CONNECT has no body.", code="bad_request", status=400, remedy="Send CONNECT HOST:PORT alone."
            )
        try:
            place = place_of(said.target)
        except Invalid as error:
            about = {"host": said.target[:LONGEST_HOST], "way": "tunnel"}
            self.sessions.refused(knock.speaker(), knock.sandbox, about=about, error=error)
            raise
        return Tunnel(self, knock, place, said.rest)


@final
class Tunnel(Pipe):
    """One tunnel, at the end where the program is."""

    def __init__(self, tunnels: Tunnels, knock: Knock, place: Place, early: bytes) -> None:
        """Lead to `place`; `early` is what was said to it already."""
        super().__init__(knock.connections, tunnels.sessions, early=early, idle=tunnels.idle)
        self._speaker, self._sandbox = knock.speaker(), knock.sandbox
        self._tunnels, self._place, self._gate = tunnels, place, Gate(place)

    @override
    async def dialled(self) -> None:
        place, sessions = self._place, self._tunnels.sessions
        addresses = await self._tunnels.judge.addresses(place, self._speaker)
        about = self._about() | {"address": str(addresses[0])}
        self.session = await sessions.begin(
            self._speaker, self._sandbox, provider=place.host.name, about=about, cut=self.cut
        )
        if self.lost:
            raise Unavailable("The program hung up.", code="caller_gone")
        await dial(self.far, self.session, place, addresses)
        self.session.status = 200

    @override
    def greeting(self) -> bytes:
        return STANDS

    @override
    def outward(self, data: bytes, *, last: bool) -> bytes:
        if self._gate.open:
            return data
        return self._gate.end() if last else self._gate.through(data)

    @override
    def inward(self, data: bytes) -> bytes:
        return data

    @override
    def parting(self, error: FreeholdError, *, stood: bool) -> bytes:
        return self._gate.last_words(error) if stood else spelt(error, aloud=True)

    @override
    def note(self, error: FreeholdError) -> None:
        self._tunnels.sessions.refused(self._speaker, self._sandbox, about=self._about(), error=error)

    def _about(self) -> dict[str, Any]:
        return {"host": self._place.host.name, "port": self._place.port, "way": "tunnel"}
