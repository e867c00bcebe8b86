"""
What a model call is made of, and what the gateway asks of those who know a provider.

A driver is a format: it spells a request, and reads what comes back. It opens no socket (`upstream` does), keeps no
state between calls and knows no money. What a caller sent is passed on byte for byte wherever the provider speaks
the caller's own format; a driver that must translate says so by `adapted`.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from freehold.gateway.ports import Credential


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
class Sent:
    """A request as it goes to a provider, spelt out."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What a call used, as prices count it. `None` for the whole means that nobody said."""

    input: int = 0
    """Tokens, the cached ones included."""
    cached: int = 0
    """Tokens of `input` that were read from a cache."""
    written: int = 0
    """Tokens of `input` that were written to a cache."""
    output: int = 0
    """Tokens, those of reasoning included."""
    images: int = 0
    seconds: int = 0
    """Of sound, rounded up."""
    characters: int = 0
    """Of text to speak."""
    requests: int = 1


@dataclass(slots=True, kw_only=True)
class Answer:
    """A provider's answer from its head on; the body comes as it is read."""

    status: int
    headers: Mapping[str, str]
    """In lower case."""
    chunks: AsyncIterator[bytes]
    address: str = ""
    """Of the machine that answered; empty where there was no network."""


class Reading(Protocol):
    """
    One answer on its way from the provider to the caller: counts it, and translates it where formats differ.

    Of a stream only whole events leave it, each as soon as it is whole. What the caller did not ask for and only we
    wanted (a usage chunk) does not leave it. What makes no sense raises `Unavailable` (`provider_malformed`), an error
    that a provider reports inside a stream `Unavailable` (`provider_cut`).
    """

    units: Units | None
    """What the provider said the call used, the newest word; none so far."""
    said: int
    """Bytes of output that came so far: text, arguments of calls, reasoning."""
    events: int
    """Events of a stream that carried output."""
    finished: bool
    """Whether the answer came to its proper end."""

    def feed(self, chunk: bytes) -> bytes:
        """Take what came, and return what may go to the caller now."""
        ...

    def end(self) -> bytes:
        """Say that nothing more comes, and return what is left for the caller."""
        ...

    def broken(self, code: str, message: str) -> bytes:
        """Return the event that tells a caller in the middle of its stream that it is over; empty where there is none."""
        ...


class Inward(Protocol):
    """Translates what a caller sends in one format into a chat completion, and the answer back."""

    def request(self, asked: Asked) -> Asked:
        """Return the chat completion that `asked` means; raise `Invalid` (`not_supported`) for what it cannot say."""
        ...

    def reading(self, inner: Reading, asked: Asked) -> Reading:
        """Return what turns the chat completion that `inner` reads into the answer to `asked`."""
        ...


class ModelDriver(Protocol):
    """Knows one format of model providers."""

    kind: str
    native: frozenset[Api]
    """What the format takes as the caller wrote it."""
    adapted: frozenset[Api]
    """What it takes after translation."""

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Raise `Invalid` if a connection with this configuration could never work."""
        ...

    def check(self, model: str) -> None:
        """Raise `Invalid` with code `unknown_model` if this driver can tell that there is no such model."""
        ...

    def request(
        self, asked: Asked, *, model: str, config: Mapping[str, Any], credential: Credential, limit: int | None = None
    ) -> Sent:
        """
        Return the request to send: the caller's, for `model` as the provider calls it, with our credential.

        `limit` is the most tokens the answer may have where money says so; it replaces what the caller wrote.
        Raises `Invalid` (`not_supported`) for what the format cannot express.
        """
        ...

    def reading(self, asked: Asked, answer: Answer) -> Reading:
        """Return what reads this answer; `answer.status` is 200."""
        ...

    async def send(self, sent: Sent, on_sent: Callable[[], None]) -> Answer:
        """
        Send a request and return its answer once the head is there; `on_sent` is called when it has left.

        Raises `NotSent` where the provider could not be reached, else another `Unavailable`.
        """
        ...
