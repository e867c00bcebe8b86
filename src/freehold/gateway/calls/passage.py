"""
An answer on its way: read as it comes, cut where its money ends, settled whatever happened to it.

Whoever iterates gets bytes for the caller. When the iteration ends, for whatever reason, the money is settled at once
in memory; `close` writes it down. An answer nobody listens to any more may be left alone: it settles all the same.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Final, final

from freehold.core.errors import FreeholdError, Unavailable
from freehold.core.money import UsageState
from freehold.gateway.calls.routing import Way
from freehold.gateway.calls.sse import malformed
from freehold.gateway.formats import Answer, Api, Asked, Reading, Units
from freehold.gateway.money.books import Books, Hold
from freehold.gateway.ports import SHORTEST, Credential, NotSent, without

MAX_ANSWER: Final = 64 << 20
BYTES_PER_TOKEN: Final = 4
REFUSED: Final = 300
"""The status from which on an answer is none, and takes nothing."""
SLACK_EVENTS: Final = 16
LONGEST_TOKEN: Final = 16
"""Bytes of output that no token is longer than, on the whole; beyond, a provider does not keep to its limit."""
LONGEST_KIND: Final = 200
CUT: Final = "budget_exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a call came to."""

    state: UsageState
    units: Units | None
    cost_nano: int
    charge_nano: int
    estimated: bool
    status: int
    bytes_out: int
    digest: str
    """SHA-256 of what the caller was sent."""
    address: str
    code: str
    """Of the error that ended it; empty where it came to its proper end."""


@final
class Passage:
    """One attempt of one call."""

    def __init__(self, asked: Asked, way: Way, *, books: Books, hold: Hold, usage_id: str, most: Units) -> None:
        """Pass on the answer to `asked`; `most` is the bound of what a call uses besides the tokens of its answer."""
        self.asked, self.way, self.hold, self.usage_id = asked, way, hold, usage_id
        self._most = most
        self.status = 0
        self.content_type = "application/json"
        self.error: FreeholdError | None = None
        self.settled: Settled | None = None
        self._books, self._limited = books, hold.limited
        self._answer: Answer | None = None
        self._reading: Reading | None = None
        self._first = b""
        self._over = False
        self._came = False
        """Whether all that there is of the answer has come."""
        self._abandoned = False
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._spellings = tuple(one.encode() for one in way.credential.spellings)

    @property
    def whole(self) -> bool:
        """Whether all of the answer is there already."""
        return self._over

    def abandon(self) -> None:
        """Read the answer no further than the next piece: nobody listens to it any more."""
        self._abandoned = True

    @property
    def flows(self) -> bool:
        """Whether the answer is passed on as it comes, and not as a whole."""
        return self.asked.stream or self.asked.api is Api.SPEECH

    async def begin(self, answer: Answer, reading: Reading) -> None:
        """Take the answer's head, and so much of its body that the caller can be told something."""
        self._answer, self._reading = answer, reading
        self.status = answer.status
        self.content_type = _plain(answer.headers.get("content-type", ""), self.way.credential) or self.content_type
        async for chunk in answer.chunks:
            self._first += reading.feed(chunk)
            if self._first and self.flows:
                return
            if len(self._first) > MAX_ANSWER:
                raise malformed("it is too long")
        self._came = True
        self._first += reading.end()
        self._over = True
        if not reading.finished:
            raise _cut()
        if not self._first:
            raise malformed("it is empty")

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Give the bytes for the caller, and settle at the end."""
        try:
            yield self._told(self._first)
            if not self._over:
                async for piece in self._rest():
                    yield self._told(piece)
        finally:
            await self.leave()

    async def leave(self, error: FreeholdError | None = None) -> None:
        """Let go of the provider and settle, if that was not done before; `error` is what made it end early."""
        self.error = self.error or error
        chunks: Any = self._answer.chunks if self._answer else None
        if chunks is not None and hasattr(chunks, "aclose"):
            await chunks.aclose()
        if self.settled is None:
            self._settle()

    async def _rest(self) -> AsyncIterator[bytes]:
        if self._answer is None or self._reading is None:
            return
        reading = self._reading
        try:
            async for chunk in self._answer.chunks:
                told = reading.feed(chunk)
                if told:
                    yield told
                if self._abandoned:
                    self.error = Unavailable("Nobody listened to the answer any more.", code="caller_gone")
                    return
                if self._past():
                    self.error = Unavailable("The answer became longer than was paid for.", code=CUT)
                    yield reading.broken(CUT, self.error.message)
                    return
            yield reading.end()
            if not reading.finished:
                raise _cut()
        except FreeholdError as error:
            self.error = error
            yield reading.broken(error.code, error.message)

    def _past(self) -> bool:
        """Return whether the provider says more than it was allowed to."""
        most, reading = self.hold.max_output, self._reading
        if most is None or reading is None or not self._limited:
            return False
        most *= self.asked.choices
        return reading.events > most + SLACK_EVENTS or reading.said > most * LONGEST_TOKEN

    def _told(self, piece: bytes) -> bytes:
        for spelling in self._spellings:
            if spelling in piece and len(spelling) >= SHORTEST:
                piece = without(piece.decode("utf-8", "surrogateescape"), self.way.credential.spellings).encode(
                    "utf-8", "surrogateescape"
                )
        self._digest.update(piece)
        self._bytes += len(piece)
        return piece

    def _settle(self) -> None:
        units, estimated, state = self._used()
        cost = self.way.price.cost(units) if units is not None else 0
        if estimated and units is None:  # nobody knows whether it ran: what was kept back for it is taken
            cost = self.hold.cost
        charge = self._books.settle(self.hold, self._books.charge(self.hold.tenant, cost, self.way.own))
        self.settled = Settled(
            state=state,
            units=units,
            cost_nano=cost,
            charge_nano=charge,
            estimated=estimated,
            status=self.status,
            bytes_out=self._bytes,
            digest=self._digest.hexdigest(),
            address=self._answer.address if self._answer else "",
            code=self.error.code if self.error else "",
        )

    def _used(self) -> tuple[Units | None, bool, UsageState]:
        """Return what the call used, whether that is a guess, and how sure it is."""
        reading = self._reading
        if reading is not None and reading.units is not None and reading.finished:
            return reading.units, False, UsageState.CLOSED
        if reading is not None and (reading.units is not None or self.flows or self._came):
            return self._guessed(reading), True, UsageState.UNSETTLED if self.error else UsageState.CLOSED
        if self._provably_nothing():
            return Units(requests=0), False, UsageState.CLOSED
        return None, True, UsageState.UNSETTLED  # also of what is made as a whole before it is sent, and broke off

    def _guessed(self, reading: Reading) -> Units:
        """Return what an answer used whose provider did not say it, or not all of it: what came, for the most that went."""
        said = reading.units or self._most
        output = max(said.output, reading.events, -(-reading.said // BYTES_PER_TOKEN))
        return replace(said, output=output)

    def _provably_nothing(self) -> bool:
        """Return whether the attempt cost nothing: it never left, or its provider answered with an error."""
        return isinstance(self.error, NotSent) or self.status >= REFUSED


def _plain(kind: str, credential: Credential) -> str:
    """Return what a provider calls its answer, as far as it can go on in a header: without our credential."""
    return "".join(sign for sign in credential.scrub(kind) if " " <= sign <= "~")[:LONGEST_KIND]


def _cut() -> Unavailable:
    return Unavailable("The model's provider broke off in the middle of its answer.", code="provider_cut")
