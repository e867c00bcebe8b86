"""What an answer says, before any format: pieces of a token each, and what the call is billed."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from freehold.testing.upstream.acts import Act

USUAL: Final = ("Hello", " from", " the", " scripted", " upstream.")
FRAGMENT: Final = 8
"""Characters of a tool's arguments that make a token."""
HUGE: Final = 10**15
PLAIN_VALUES: Final[Mapping[str, Any]] = {"string": "Paris", "integer": 7, "number": 1.5, "boolean": True}
_WORDS: Final = re.compile(r"\s*\S+")

Kind = Literal["thinking", "text", "call", "fragment"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One token of an answer."""

    kind: Kind
    text: str
    """Of a call the tool's name."""
    choice: int = 0
    index: int = 0
    """Of a call, within its choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that was offered."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What any format asks for."""

    model: str
    text: str
    """All text of the prompt, joined."""
    stream: bool = False
    limit: int | None = None
    choices: int = 1
    tools: Sequence[Tool] = ()
    forced: str = ""
    """A tool that must be called; `*` for any."""
    answered: bool = False
    """Whether the newest message brings the result of a tool."""
    schema: Mapping[str, Any] | None = None
    """Of the JSON that is wanted."""
    thinking: bool = False
    """Whether thoughts are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An answer."""

    question: Question
    pieces: Sequence[Piece]
    finish: Literal["stop", "length", "calls"]
    tokens_in: int
    cached: int
    written: int
    hidden: int
    """Tokens of thought that nobody sees, billed before the first piece."""
    thoughts: int
    """Pieces of thought that are shown; they come first."""

    @property
    def output(self) -> int:
        """Tokens of the whole answer."""
        return self.hidden + len(self.pieces)

    def text(self, kind: Kind = "text", choice: int = 0) -> str:
        """Return all of one kind that a choice says."""
        return "".join(piece.text for piece in self.pieces if piece.kind == kind and piece.choice == choice)

    def calls(self, choice: int = 0) -> list[tuple[int, str, str]]:
        """Return index, name and arguments of each call."""
        mine = [piece for piece in self.pieces if piece.choice == choice]
        return [
            (start.index, start.text, "".join(p.text for p in mine if p.kind == "fragment" and p.index == start.index))
            for start in mine
            if start.kind == "call"
        ]


def plan(question: Question, act: Act, key: str) -> Plan:
    """Return what is answered to `question` by `act`, to whoever came with `key`."""
    one = list(_pieces(question, act, key))
    limit = None if act.ignore_max else question.limit
    room = None if limit is None else max(0, limit - act.reasoning)
    short = room is not None and len(one) > room
    shown = one[:room] if short else one
    choices = range(question.choices)
    pieces = [Piece(p.kind, p.text, choice, p.index) for p in shown for choice in choices]
    finish: Any = "length" if short else "calls" if any(p.kind == "call" for p in shown) else "stop"
    return Plan(
        question=question,
        pieces=pieces,
        finish=finish,
        tokens_in=tokens(question.text) if act.tokens_in is None else act.tokens_in,
        cached=act.cached,
        written=act.written,
        thoughts=sum(piece.kind == "thinking" for piece in pieces),
        hidden=0 if question.thinking else _thought(act, limit) * question.choices,
    )


def tokens(text: str) -> int:
    """Count as this provider does: a token for every four bytes begun, at least one."""
    return max(1, -(-len(text.encode()) // 4))


def example(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """Return the same small value for a JSON schema every time."""
    root = root or schema
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return example(root.get("$defs", root.get("definitions", {}))[name], root)
    for word in ("anyOf", "oneOf", "allOf", "enum"):
        if word in schema:
            return schema[word][0] if word == "enum" else example(schema[word][0], root)
    kind = "object" if "properties" in schema else str(schema.get("type", "")).lower()
    made: dict[str, Callable[[], Any]] = {
        "object": lambda: {name: example(each, root) for name, each in schema.get("properties", {}).items()},
        "array": lambda: [example(schema["items"], root)] if "items" in schema else [],
    }
    return made[kind]() if kind in made else schema.get("const", PLAIN_VALUES.get(kind))


def _thought(act: Act, limit: int | None) -> int:
    return act.reasoning if limit is None else min(act.reasoning, limit)


def _pieces(question: Question, act: Act, key: str) -> Iterator[Piece]:
    if question.thinking:
        yield from (Piece("thinking", f"Thought {n}. ") for n in range(act.reasoning or 3))
    if not question.answered and (names := _called(question, act)):
        yield from _calls(names, question, act)
        return
    if act.echo == "body":
        yield Piece("text", f"Your key is {key}.")
    if act.echo == "split":
        half = len(key) // 2
        yield from (Piece("text", text) for text in ("Your key is ", key[:half], key[half:], "."))
    yield from (Piece("text", text) for text in _texts(question, act))


def _texts(question: Question, act: Act) -> Iterable[str]:
    if act.text:
        return act.text
    if question.schema is not None:
        return _WORDS.findall(msgspec.json.format(msgspec.json.encode(example(question.schema)), indent=1).decode())
    if act.words is not None:
        return (f"w{n} " for n in range(act.words))
    return USUAL


def _called(question: Question, act: Act) -> Sequence[str]:
    if act.call and question.tools:
        return act.call
    if question.forced and question.tools:
        return [question.tools[0].name if question.forced == "*" else question.forced]
    return ()


def _calls(names: Sequence[str], question: Question, act: Act) -> Iterator[Piece]:
    schemas = {tool.name: tool.schema for tool in question.tools}
    for index, name in enumerate(names):
        made = msgspec.json.encode(example(schemas.get(name, {})) or {}).decode()
        arguments = act.arguments[index] if index < len(act.arguments) else made
        yield Piece("call", name, 0, index)
        for at in range(0, len(arguments), FRAGMENT):
            yield Piece("fragment", arguments[at : at + FRAGMENT], 0, index)


def usage_of(act: Act, told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is said about usage, by the act: the truth, nothing, or something wrong."""
    wrong: dict[str, Any] = {"zero": 0, "string": "many", "huge": HUGE}
    if act.usage in wrong:
        return [{name: _turned(value, wrong[act.usage]) for name, value in told.items()}]
    return [told] * {"missing": 0, "told": 1, "twice": 2}[act.usage]


def _turned(value: Any, into: Any) -> Any:
    if isinstance(value, dict):
        return {name: _turned(each, into) for name, each in value.items()}
    return into
