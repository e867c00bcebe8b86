"""
The most that a call can cost, before it is made; pure.

What goes in is bounded by its bytes: a token has some of them, how many is learnt per family of models
(`Calibration`). What comes out is bounded by what the caller, or else the ceiling, allows. A call whose input no
number bounds (a file at an address, a conversation the provider keeps) is taken as the model's whole context.
"""

import bisect
import re
import string
from dataclasses import dataclass, field
from typing import Final, final

import msgspec

from freehold.gateway.asked import Api, Asked, Units
from freehold.gateway.money.prices import FREE, Price

LEAST_OUTPUT: Final = 16
"""Tokens of an answer that are worth a call."""
FIRST_RATIO: Final = 2.5
"""Bytes in a token, until a family of models has taught better."""
LEAST_RATIO: Final = 1.0
SAFETY: Final = 0.95
ENOUGH: Final = 200
"""Calls after which a family is believed."""
FAMILIES: Final = 256
WORTH_LEARNING: Final = 256
"""Bytes of a request below which its frame says more than its text."""
OVERHEAD: Final = 64
"""Tokens that providers add around what was sent."""
CONTEXT: Final = 1_000_000
"""Tokens of input where the list does not say how many a model takes."""
IMAGE_TOKENS: Final = 6_000
"""The most that a picture counts as, with nearly every model."""
SMALL_MODEL_IMAGE_TOKENS: Final = 50_000
DRAWN_TOKENS: Final = 7_000
"""The most that a drawn picture counts as."""
SOUND_BYTES: Final = 1_000
"""Bytes in a second of the thinnest speech that is in use."""
SOUND_BASE64: Final = 8
"""Characters of sound in a body for one token, at least."""
SOUND_TOKENS: Final = 12
SPOKEN_TOKENS: Final = 4

_FREE: Final = frozenset({Api.COUNT_TOKENS, Api.MODELS})
_TALK: Final = frozenset({Api.CHAT, Api.RESPONSES, Api.MESSAGES})
_BLOB: Final = 1_024
"""Characters from which a text under `data` is worth looking at: pictures and sound are longer."""
_BASE64: Final = string.ascii_letters.encode() + string.digits.encode() + b"+/=-_\\"
_PICTURE: Final = re.compile(rb'"type"\s*:\s*"(?:image_url|input_image|image)"')
_PICTURE_DATA: Final = re.compile(rb'"image/[a-z]')
_UNBOUNDED: Final = re.compile(
    rb'"type"\s*:\s*"(?:document|input_file|file|container_upload|item_reference)"|"(?:file_id|file_url)"\s*:\s*"'
)
_ESCAPED: Final = re.compile(rb"\\u00[2-7]")
"""A letter that is spelt in a way no program does: to be overlooked."""
_LASTING: Final = re.compile(rb'"ttl"\s*:\s*"1h"')
_KEPT: Final = frozenset({"previous_response_id", "conversation", "prompt", "container"})
"""Members at the top of a request that stand for something the provider has."""
_ANY_KEPT: Final = re.compile(rb'"(?:previous_response_id|conversation|prompt|container)"\s*:')
_BOUGHT: Final = re.compile(
    rb'"type"\s*:\s*"(?:web_search|web_fetch|file_search|code_interpreter|code_execution|image_generation|mcp)'
    rb'|"web_search_options"\s*:|"service_tier"\s*:\s*"(?:priority|scale)"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The most that a call can cost."""

    input: Units
    """The upper bound of everything but the answer's tokens."""
    output: int | None
    """Tokens of one answer at most; none where the API has no such limit."""
    least: int
    """The smallest limit of tokens that is worth a call."""
    price: Price
    choices: int = 1
    """Answers at once, each as long as `output`."""
    stated: bool = True
    """Whether the caller itself limited the answer."""
    bounded: bool = True
    """Whether there is a most at all; what the provider buys by itself during a call has none."""

    def nano(self, output: int) -> int:
        """Return the most the call costs if each answer has at most `output` tokens."""
        known = self.input
        return self.price.cost(
            Units(
                input=known.input,
                cached=known.cached,
                written=known.written,
                lasting=known.lasting,
                output=known.output + output * self.choices,
                images=known.images,
                seconds=known.seconds,
                characters=known.characters,
                requests=known.requests,
            )
        )


def estimate(asked: Asked, price: Price, *, ratio: float, ceiling: int) -> Estimate:
    """Return the most `asked` can cost; an answer without a limit of its own gets `ceiling`."""
    if asked.api in _FREE:
        return Estimate(input=Units(requests=0), output=None, least=0, price=FREE)
    if asked.api in _TALK:
        output = ceiling if asked.max_output is None else asked.max_output
        plain = _plain(asked.body)
        tokens = _input(asked, plain, price, ratio)
        # A provider may write all of it to its cache, at whatever that costs; Anthropic's does so only if asked to.
        writes = price.written > price.input and (asked.api is not Api.MESSAGES or b'"cache_control"' in plain)
        dearest = tokens if writes else 0
        return Estimate(
            input=Units(input=tokens, written=dearest, lasting=dearest if _LASTING.search(plain) else 0),
            output=output,
            least=min(LEAST_OUTPUT, output),
            price=price,
            choices=max(1, asked.choices),
            stated=asked.max_output is not None,
            bounded=not _BOUGHT.search(plain),
        )
    return Estimate(input=_other(asked, ratio), output=None, least=0, price=price)


def _input(asked: Asked, plain: bytes, price: Price, ratio: float) -> int:
    context = price.context or CONTEXT
    body = asked.body
    if _UNBOUNDED.search(plain) or (_ANY_KEPT.search(plain) and _keeps(plain)):
        return context
    blobs, sound = _blobs(body) if len(body) > _BLOB else (0, 0)
    pictures = len(_PICTURE.findall(plain))
    each = SMALL_MODEL_IMAGE_TOKENS if "4o-mini" in asked.model else IMAGE_TOKENS
    tokens = int((len(body) - blobs) / ratio) + OVERHEAD + pictures * each + sound // SOUND_BASE64
    return min(tokens, context)


def _plain(body: bytes) -> bytes:
    """Return a request as any program would spell it, for what is looked for in it."""
    if not _ESCAPED.search(body):
        return body
    try:
        return msgspec.json.encode(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body


def _keeps(body: bytes) -> bool:
    """Tell whether a request goes on from what its provider keeps; tools may have arguments of the same names."""
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return True
    return any(bytes(members.get(name, b"null")) != b"null" for name in _KEPT)


def _blobs(body: bytes) -> tuple[int, int]:
    """Return how much of a body is pictures and sound in Base64, and how much of that is no picture."""
    texts = body.split(b'"')
    blobs = sound = 0
    for place, text in enumerate(texts):
        if len(text) >= _BLOB and (text.startswith(b"data:") or texts[place - 2] == b"data") and _is_base64(text):
            blobs += len(text)
            sound += 0 if text.startswith(b"data:image/") or _PICTURE_DATA.search(_before(texts, place)) else len(text)
    return blobs, sound


def _is_base64(text: bytes) -> bool:
    """Tell whether a text is what it claims to be, and not words behind a prefix."""
    return not text[text.find(b",", 0, _BLOB) + 1 :].translate(None, _BASE64)


def _before(texts: list[bytes], place: int) -> bytes:
    """Return the names and values just before a text, which say what it is."""
    return b'"'.join(texts[max(0, place - 14) : place])


def _other(asked: Asked, ratio: float) -> Units:
    size = len(asked.body)
    match asked.api:
        case Api.IMAGES:
            many = max(1, asked.choices)
            return Units(input=int(size / ratio) + OVERHEAD, output=DRAWN_TOKENS * many, images=many)
        case Api.TRANSCRIPTION:
            seconds = -(-size // SOUND_BYTES)
            return Units(input=seconds * SOUND_TOKENS, output=seconds * SOUND_TOKENS, seconds=seconds)
        case Api.SPEECH:
            return Units(input=int(size / ratio) + OVERHEAD, output=size * SPOKEN_TOKENS, characters=size)
        case _:
            return Units(input=int(size / ratio) + OVERHEAD)


@final
@dataclass(slots=True)
class Calibration:
    """How few bytes a token has, by family of models: all but one in a thousand calls had more."""

    _seen: dict[str, list[float]] = field(default_factory=dict)
    """The smallest of what was seen, in order, and at the end how many were seen."""
    _count: dict[str, int] = field(default_factory=dict)

    def ratio(self, model: str) -> float:
        """Return how many bytes a token of `model` has at least."""
        family = _family(model)
        count = self._count.get(family, 0)
        if not count:
            return FIRST_RATIO
        if count < ENOUGH:
            return max(LEAST_RATIO, min(FIRST_RATIO, self._seen[family][0] * SAFETY))
        lowest = self._seen[family]
        return max(LEAST_RATIO, lowest[min(count // 1_000, len(lowest) - 1)] * SAFETY)

    def learn(self, model: str, size: int, tokens: int) -> None:
        """Take note that a request of `size` bytes had `tokens`."""
        if size < WORTH_LEARNING or not 0 < tokens <= size:
            return  # next to nothing, or most of it came from elsewhere (a picture at an address, a kept conversation)
        family = _family(model)
        if family not in self._seen and len(self._seen) >= FAMILIES:
            return
        lowest = self._seen.setdefault(family, [])
        self._count[family] = self._count.get(family, 0) + 1
        bisect.insort(lowest, size / tokens)
        del lowest[64:]
        if self._count[family] >= 64_000:  # noqa: PLR2004 - what was long ago counts half
            self._count[family] //= 2
            del lowest[32:]


def _family(model: str) -> str:
    return re.split(r"[-:@.\d]", model.rpartition("/")[2], maxsplit=1)[0]
