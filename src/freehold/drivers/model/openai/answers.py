"""What comes back in each of OpenAI's formats, and what in it tells how much was used."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, final

import msgspec
from typing_extensions import override

from freehold.gateway.calls import bodies, chat_reading, counting
from freehold.gateway.calls.readings import (
    NO_WORD,
    Members,
    Plain,
    Stream,
    Whole,
    decoded,
    failed_inside,
    is_said,
    members_of,
    size,
)
from freehold.gateway.calls.sse import Event, malformed
from freehold.gateway.formats import Answer, Api, Asked, Reading, Units

_ENDS: Final = frozenset(
    {
        "response.completed",
        "response.incomplete",
        "transcript.text.done",
        "speech.audio.done",
        "image_generation.completed",
    }
)
_FAILS: Final = frozenset({"error", "response.failed"})
_NO_UNITS: Final = Units(requests=0)


def reading(asked: Asked, answer: Answer) -> Reading:
    """Return what reads the answer to a request; what the provider says it is counts, not what was asked for."""
    content_type = answer.headers.get("content-type", "").lower()
    if asked.api is Api.CHAT:
        return chat_reading.reading(asked, answer)
    if content_type.startswith("text/event-stream"):
        return TypedStream(asked.api, characters=_characters(asked))
    if asked.api in _WHOLES and content_type.startswith("application/json"):
        return _WHOLES[asked.api]()
    return Plain(_units_known(asked))


def _units_known(asked: Asked) -> Units | None:
    """Return what can be counted before the answer; nothing of a transcript in plain text."""
    if asked.api is Api.SPEECH:
        return Units(characters=_characters(asked))
    return _NO_UNITS if asked.api is Api.MODELS else None


class _Typed(msgspec.Struct, gc=False):
    type: str = ""
    delta: Any = None
    response: msgspec.Raw = NO_WORD
    usage: msgspec.Raw = NO_WORD


_items: Final = msgspec.json.Decoder(list[msgspec.Raw])
_typed: Final = msgspec.json.Decoder(_Typed)


@final
class TypedStream(Stream):
    """A stream whose events carry their type: responses, transcripts, speech, pictures."""

    def __init__(self, api: Api, *, characters: int = 0) -> None:
        """Read a stream of `api`; `characters` were asked to be spoken."""
        super().__init__()
        self.api = api
        self._characters = characters
        self._images = 0

    @override
    def read(self, event: Event) -> bytes:
        if event.data == chat_reading.END:
            return event.raw
        try:
            told = _typed.decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed("one of its events is none of this format") from error
        if told.type in _FAILS:
            raise failed_inside()
        if told.delta is not None:
            self.said += size(told.delta)
            self.events += 1
        elif told.type in _ENDS:
            self._end(told)
        return event.raw

    def _end(self, told: _Typed) -> None:
        self.finished = True
        usage = decoded(told.usage)
        if is_said(told.response):
            usage = decoded(members_of(bytes(told.response)).get("usage"))
        self._images += self.api is Api.IMAGES
        units = counting.of_openai(usage) or self.units
        if self._images or self._characters:
            units = replace(units or Units(), images=self._images, characters=self._characters)
        self.units = units


def _characters(asked: Asked) -> int:
    if asked.api is not Api.SPEECH:
        return 0
    text = bodies.value(bodies.top(asked.body).get("input"))
    return len(text) if isinstance(text, str) else 0


def _tokens(members: Members) -> Units | None:
    return counting.of_openai(decoded(members.get("usage")))


def _images(members: Members) -> Units | None:
    try:
        images = len(_items.decode(members.get("data", b"[]")))
    except msgspec.DecodeError as error:
        raise malformed("it has no list of pictures") from error
    return replace(_tokens(members) or Units(), images=images)


def _transcribed(members: Members) -> Units | None:
    return _tokens(members) or counting.of_seconds(decoded(members.get("duration")))


def _transcript(members: Members) -> int:
    return size(decoded(members.get("text")))


def _response_said(members: Members) -> int:
    return len(bytes(members["output"])) if "output" in members else 0


_WHOLES: Final[Mapping[Api, Callable[[], Reading]]] = MappingProxyType(
    {
        Api.RESPONSES: lambda: Whole(_tokens, said=_response_said, needs="output"),
        Api.EMBEDDINGS: lambda: Whole(_tokens, needs="data"),
        Api.IMAGES: lambda: Whole(_images, needs="data"),
        Api.TRANSCRIPTION: lambda: Whole(_transcribed, said=_transcript, needs="text"),
    }
)
