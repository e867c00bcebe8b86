"""
What is asked of a model, by whom, and what it used: the nouns that calls and money share.

A call is made in somebody's name (`Whom`), says what it wants (`Asked`) and used so much (`Units`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Behalf:
    """On whose behalf another machine is connected to."""

    tenant: str
    operators: bool = False
    """Whether who runs the platform wrote down where it leads."""


def longest(*stated: int | None) -> int | None:
    """
    Return the limit that an answer may be held to, of all that a request states; none where it states none that holds.

    A provider may go by any of them, and some take one below nothing to mean no limit at all.
    """
    told = [one for one in stated if one is not None]
    return max(told) if told and min(told) > 0 else None


class Api(StrEnum):
    """What is asked of a model, and in whose format."""

    CHAT = "chat"
    """POST /v1/chat/completions"""
    RESPONSES = "responses"
    """POST /v1/responses"""
    EMBEDDINGS = "embeddings"
    """POST /v1/embeddings"""
    IMAGES = "images"
    """POST /v1/images/generations"""
    TRANSCRIPTION = "transcription"
    """POST /v1/audio/transcriptions, a form"""
    SPEECH = "speech"
    """POST /v1/audio/speech; what comes back is sound"""
    MESSAGES = "messages"
    """POST /v1/messages, as Anthropic has it"""
    COUNT_TOKENS = "count_tokens"
    """POST /v1/messages/count_tokens"""
    MODELS = "models"
    """GET /v1/models of the provider; costs nothing and proves that a key works"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """In whose name a call is made; what it costs is counted for each of these."""

    tenant: str
    agent: str = ""
    version: str = ""
    run: str = ""
    key: str = ""
    """The id of a model key."""
    level: str = ""
    """The alias that was asked for, if one was."""
    attended: bool = False
    """Whether a person waits for it."""
    trace: str = ""
    by: str = ""
    """Who acts, as the record says it; else the run."""

    @property
    def actor(self) -> str:
        """Who acts, as the record says it."""
        return self.by or f"run:{self.run}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came in, with what must be known about it."""

    api: Api
    model: str
    """As the caller named it."""
    body: bytes
    """Whole and untouched; JSON, or a form for transcription."""
    content_type: str = "application/json"
    stream: bool = False
    max_output: int | None = None
    """Tokens the caller wants at most; none where it did not say."""
    choices: int = 1
    """How many answers it wants at once (`n`)."""
    usage_wanted: bool = False
    """Whether the caller asked to be told the usage of a stream; one that did not is not shown it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those of the caller's that may go on, in lower case: `anthropic-version`, `anthropic-beta`, `openai-beta`, `accept`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What a call used, as prices count it. `None` for the whole means that nobody said."""

    input: int = 0
    """Tokens, the cached ones included."""
    cached: int = 0
    """Tokens of `input` that were read from a cache."""
    written: int = 0
    """Tokens of `input` that were written to a cache."""
    lasting: int = 0
    """Tokens of `written` that the cache keeps for an hour."""
    output: int = 0
    """Tokens, those of reasoning included."""
    images: int = 0
    seconds: int = 0
    """Of sound, rounded up."""
    characters: int = 0
    """Of text to speak."""
    requests: int = 1
