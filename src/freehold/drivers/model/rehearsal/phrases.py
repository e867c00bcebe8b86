"""What the rehearsal model does when it is told to in plain words: each phrase is one tool call."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

MAX_REPEAT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Wish:
    """A tool call that a phrase asks for."""

    tool: str
    arguments: dict[str, Any] | str


def plan(text: str) -> list[list[Wish]]:
    """
    Return the tool calls that `text` asks for: one list for each step of the model.

    Phrases stand on lines of their own. All of them are done at once, in the first step, except that a repeated
    phrase is done once a step.
    """
    steps: list[list[Wish]] = []
    for line in text.splitlines():
        times, phrase = _repeated(line.strip())
        wish = _wish(phrase)
        if wish is None:
            continue
        steps += [[] for _ in range(times - len(steps))]
        for step in steps[:times]:
            step.append(wish)
    return steps


def _repeated(line: str) -> tuple[int, str]:
    found = re.fullmatch(r"repeat (\d{1,6}): *(.+)", line)
    return (min(int(found[1]), MAX_REPEAT), found[2]) if found else (1, line)


def _wish(phrase: str) -> Wish | None:
    for pattern, make in _PHRASES.values():
        found = re.fullmatch(pattern, phrase)
        if found:
            return make(found)
    return None


def _call(found: "re.Match[str]") -> Wish:
    """Return the call of a connection's operation; what is no JSON object is passed on as it is."""
    raw = found[3] or "{}"
    try:
        arguments = json.loads(raw)
    except ValueError:
        arguments = raw
    return Wish(f"{found[1]}.{found[2]}", arguments if isinstance(arguments, dict) else raw)


_PHRASES: Final[Mapping[str, tuple[str, Callable[["re.Match[str]"], Wish]]]] = MappingProxyType(
    {
        "run: CMD": (r"run: *(.+)", lambda found: Wish("shell", {"command": found[1]})),
        "write NAME: TEXT": (
            r"write (\S+?): ?(.*)",
            lambda found: Wish("write_file", {"path": found[1], "content": found[2].replace("\\n", "\n")}),
        ),
        "read NAME": (r"read (\S+)", lambda found: Wish("read_file", {"path": found[1]})),
        "list": (r"list", lambda _found: Wish("list_files", {})),
        "delete NAME": (r"delete (\S+)", lambda found: Wish("delete_file", {"path": found[1]})),
        "delegate: TEXT": (r"delegate: *(.+)", lambda found: Wish("delegate", {"task": found[1]})),
        "fetch URL": (r"fetch (https?://\S+)", lambda found: Wish("web_fetch", {"url": found[1]})),
        "search: TEXT": (r"search: *(.+)", lambda found: Wish("web_search", {"query": found[1]})),
        "call CONNECTION OPERATION JSON": (r"call (\S+) (\S+)(?: (.+))?", _call),
    }
)
PHRASES: Final = (*_PHRASES, "repeat N: PHRASE")
"""Every phrase there is; the reference lists the same."""
