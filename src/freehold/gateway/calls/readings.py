"""
Readings that pass an answer on as it came: of a stream each event, of a document the whole.

What an API's answer means is a few functions that are handed in; the bytes are nobody's business but the caller's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, final

import msgspec
from typing_extensions import override

from freehold.core.errors import Unavailable
from freehold.gateway.calls.sse import Event, Events, malformed
from freehold.gateway.formats import Api, Reading, Units

MAX_ANSWER: Final = 64 << 20
"""Bytes of an answer in one piece: pictures come in JSON."""
MAX_STREAM: Final = 256 << 20
NO_WORD: Final = msgspec.Raw()
"""A member that is missing."""
_SILENT: Final = frozenset((b"", b"null"))
_top: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
Members = Mapping[str, msgspec.Raw]


def said_nothing(_members: Members) -> int:
    """Count no output: what an answer holds is no text."""
    return 0


@final
class Whole(Reading):
    """An answer in one JSON object. It is passed on when it is complete, so a broken one can be asked for elsewhere."""

    def __init__(
        self,
        units: Callable[[Members], Units | None],
        *,
        said: Callable[[Members], int] = said_nothing,
        needs: str = "",
    ) -> None:
        """Read `units` and, where the provider told none, what was `said`; an answer without the member `needs` is none."""
        self.units: Units | None = None
        self.said, self.events, self.finished = 0, 0, False
        self._units, self._said, self._needs = units, said, needs
        self._body = bytearray()

    @override
    def feed(self, chunk: bytes) -> bytes:
        self._body += chunk
        if len(self._body) > MAX_ANSWER:
            raise malformed("it is too long")
        return b""

    @override
    def end(self) -> bytes:
        body = bytes(self._body)
        members = members_of(body)
        if is_said(members.get("error")):
            raise failed_inside()
        if self._needs and not is_said(members.get(self._needs)):
            raise malformed(f"it has no {self._needs}")
        self.units = self._units(members)
        if self.units is None:
            self.said = self._said(members)
        self.finished = True
        return body

    @override
    def broken(self, code: str, message: str) -> bytes:
        return b""


@final
class Plain(Reading):
    """An answer whose bytes mean nothing to us, such as sound; passed on as it comes."""

    def __init__(self, units: Units | None) -> None:
        """Know the `units` beforehand, from the request."""
        self.units, self.said, self.events, self.finished = units, 0, 0, False

    @override
    def feed(self, chunk: bytes) -> bytes:
        return chunk

    @override
    def end(self) -> bytes:
        self.finished = True
        return b""

    @override
    def broken(self, code: str, message: str) -> bytes:
        return b""


class Stream(Reading):
    """A stream whose events pass on as they came. A format says in `read` what each of them means."""

    api: Api

    def __init__(self) -> None:
        """Begin before the first byte."""
        self.units: Units | None = None
        self.said, self.events, self.finished = 0, 0, False
        self._cutter = Events()
        self._size = 0
        self._wrong: Unavailable | None = None
        """What is told once all that came before it has gone to the caller."""

    def read(self, event: Event) -> bytes:
        """Read an event that carries something, and return what of it goes to the caller."""
        raise NotImplementedError

    @override
    def feed(self, chunk: bytes) -> bytes:
        self._size += len(chunk)
        if self._size > MAX_STREAM:
            raise malformed("it is too long")
        events = self._cutter.feed(chunk)
        if len(events) == 1 and events[0].data and self._wrong is None:  # nearly always
            return self.read(events[0])
        return self._several(events)

    @override
    def end(self) -> bytes:
        if self._wrong is not None:
            raise self._wrong
        shown = []
        for event in self._cutter.end():
            try:
                shown.append(self.read(event) if event.data else event.raw)
            except Unavailable as error:
                if error.code != "provider_malformed":
                    raise
                # Half an event: the stream was cut, and `finished` says so.
        return b"".join(shown)

    def _several(self, events: Sequence[Event]) -> bytes:
        """Read what came at once; an error behind words that follow others waits until those are told."""
        if self._wrong is not None:
            raise self._wrong
        shown, begun = [], self.events > 0
        for event in events:
            try:
                shown.append(self.read(event) if event.data else event.raw)
            except Unavailable as error:
                if not (begun and any(shown)):
                    raise
                self._wrong = error
                break
        return b"".join(shown)

    @override
    def broken(self, code: str, message: str) -> bytes:
        return broken_off(self.api, code, message)


def broken_off(api: Api, code: str, message: str) -> bytes:
    """Return the event that tells a caller in the middle of a stream of `api` that it is over."""
    match api:
        case Api.MESSAGES:
            return named("error", {"type": "error", "error": {"type": "api_error", "message": f"{message} ({code})"}})
        case Api.RESPONSES:
            return named("error", {"type": "error", "code": code, "message": message, "param": None})
        case _:
            told = {"message": message, "type": "server_error", "code": code, "param": None}
            return b"data: " + msgspec.json.encode({"error": told}) + b"\n\n"


def named(event: str, data: object) -> bytes:
    """Return an event with a name."""
    return b"event: " + event.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


def members_of(data: bytes) -> Members:
    """Return the members of an object in JSON; raise `Unavailable` (`provider_malformed`) if there is none."""
    try:
        return _top.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed("it is no JSON object") from error


def decoded(raw: msgspec.Raw | None) -> object:
    """Return what a member of an answer says; `None` where it is missing."""
    if raw is None or not is_said(raw):
        return None
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed("it is no JSON") from error


def is_said(raw: msgspec.Raw | None) -> bool:
    """Return whether a member is there and not null."""
    return raw is not None and raw is not NO_WORD and bytes(raw) not in _SILENT


def size(text: object) -> int:
    """Return the bytes of a text; nothing for what is none."""
    if not isinstance(text, str):
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def failed_inside() -> Unavailable:
    """Return the error that tells that a provider reported a failure of its own in the middle of an answer."""
    return Unavailable("The model's provider failed in the middle of its answer.", code="provider_cut")
