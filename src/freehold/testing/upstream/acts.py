"""
How one request goes: the answer, and what goes wrong on the way.

An act comes from a script, or is spelt in the question itself: `[[words=50 cut=3]]` in a prompt, or
`scripted~words=50~cut=3` as the name of the model. So a client in another process says what it wants to see.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal

Usage = Literal["told", "missing", "zero", "string", "twice", "huge"]
Echo = Literal["", "body", "header", "split", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One answer. A word in a question has the name of the field."""

    words: int | None = None
    """How many to say; none says the usual sentence."""
    text: Sequence[str] = ()
    """What to say instead, a token each."""
    call: Sequence[str] = ()
    """Names of tools to call, all in one answer."""
    arguments: Sequence[str] = ()
    """Their arguments; where there are none, they are made up from the tool's schema."""
    reasoning: int = 0
    """Tokens of thought before each answer; seen only where the format shows them."""
    tokens_in: int | None = None
    """Bill this many instead of counting."""
    cached: int = 0
    written: int = 0
    ignore_max: bool = False
    usage: Usage = "told"

    status: int = 200
    after: str = ""
    """Seconds, for a `retry-after` header."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent as it stands, under the status."""
    kind: str = "application/json"
    """The content type of that body."""
    redirect: str = ""
    """Where to; answers 307."""
    stall: bool = False
    """Say nothing at all."""
    slowloris: float = 0.0
    """Seconds between two bytes of a head that never ends."""
    cut: int | None = None
    """Break the connection after this many events; of a plain answer, after this many bytes."""
    close: bool = False
    """Break the connection before the first byte."""
    malformed: int | None = None
    """Make no sense in the event of this number."""
    error: int | None = None
    """Report an error in place of the event of this number, and end."""
    done: bool = True
    """Whether a stream says at its end that this is the end."""
    slow: float = 0.0
    """Seconds between two events."""
    gate: Callable[[int], Awaitable[Any]] | None = None
    """Awaited before each event with its number."""
    gated: bool = False
    """Wait for the upstream's own gate before each event."""
    split: int = 0
    """Write an answer in slices of this many bytes."""
    crlf: bool = False
    comments: bool = False
    """Put a comment before each event."""
    multiline: bool = False
    """Spread the data of an event over several lines."""
    echo: Echo = ""
    """Say the credential again: in the text, in a header, over two pieces of the text, or in an error."""

    @property
    def plain(self) -> bool:
        """Whether it is an answer like any other, which needs no waiting."""
        return self.echo != "error" and self == replace(PLAIN, **{name: getattr(self, name) for name in _HARMLESS})


_HARMLESS: Final = (
    "words", "text", "call", "arguments", "reasoning", "tokens_in", "cached", "written", "ignore_max", "usage", "done",
    "crlf", "comments", "multiline", "echo",
)  # fmt: skip
PLAIN: Final = Act()
_SPELT: Final = re.compile(rb"\[\[([a-z][^\[\]\"]*)\]\]")
_FIELDS: Final = {each.name: str(each.type) for each in fields(Act)}
_READ: Final[Mapping[str, Callable[[str], Any]]] = {
    "Sequence": lambda value: tuple(value.split(",")),
    "bool": lambda value: value not in ("0", "no", "false"),
    "int": int,
    "float": float,
    "bytes": str.encode,
}


def spelt(model: str, body: bytes) -> Act:
    """Return the act that the name of a model or the newest question spells."""
    words = model.split("~")[1:]
    found = _SPELT.findall(body) if b"[[" in body else None
    if found:
        words += found[-1].decode().split()
    if not words:
        return PLAIN
    return of(dict(_pair(word) for word in words))


def of(stated: Mapping[str, Any]) -> Act:
    """Return the act with these fields, values as words or as they are."""
    return Act(**{name: _value(name, value) for name, value in stated.items()})


def _pair(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name, value


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    kind = _FIELDS[name]
    return next((read(value) for word, read in _READ.items() if word in kind), value)
