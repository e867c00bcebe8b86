"""
What a model is shown in one segment: the frame (instructions and the like), the history, and what is added.

It is made of labelled parts. A reply carries the join of the labels of everything it was shown, so that
whatever untrusted text went in is still known when something is done with what came out.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Final

from freehold.agents.sources import Call
from freehold.audit.canonical import canonical
from freehold.core.errors import Invalid
from freehold.core.parts import Label, Origin, Part, Role

MAX_SHOWN: Final = 400_000
"""Characters a model is shown; the oldest go first. About 100,000 tokens."""
MAX_RESULT: Final = 64_000
"""Characters of one tool result that a model is shown."""


class Context:
    """The context of one segment, growing as the segment goes on."""

    def __init__(self, frame: Sequence[Part], earlier: Sequence[Part]) -> None:
        """Begin with the `frame`, which is always shown, and all that went before."""
        self._frame = tuple(frame)
        self._parts = list(earlier)
        self.label = _joined(chain(self._frame, self._parts))
        """The join of everything shown so far."""
        self.reply_label = self.label
        """The join of everything shown up to the last reply: what its calls are made of."""

    def add(self, parts: Iterable[Part]) -> None:
        """Show these from now on."""
        for part in parts:
            self._parts.append(part)
            self.label = self.label.join(part.label)
            if part.role in {Role.ASSISTANT, Role.CALL}:
                self.reply_label = self.label

    def shown(self) -> list[Part]:
        """Return what the model is shown now: the frame, and as much of the newest history as there is room for."""
        return [*self._frame, *bounded(self._parts)]

    def calls(self, run: str) -> list[tuple[Call, Part | None]]:
        """Return the calls of the run's last reply, each with its result where it has one."""
        since = self._parts[_last_reply(self._parts) :]
        results = {part.content["id"]: part for part in since if part.role is Role.RESULT}
        calls = [call_of(part) for part in since if part.role is Role.CALL]
        return [(call, results.get(call.id)) for call in calls if call.key.startswith(f"{run}/")]

    def ids(self) -> frozenset[str]:
        """Return the ids of every call so far."""
        return frozenset(str(part.content["id"]) for part in self._parts if part.role is Role.CALL)

    def replies(self, run: str) -> int:
        """Return how often the model has answered in this run."""
        mine = f"{run}/"
        return sum(
            1 for part in self._parts if part.role is Role.ASSISTANT and part.content.get("key", "").startswith(mine)
        )


def call_of(part: Part) -> Call:
    """Return the call that a part stands for."""
    content = part.content
    return Call(id=content["id"], name=content["name"], arguments=content["arguments"], key=content.get("key", ""))


def made_of(label: Label, origin: Origin) -> Label:
    """Return the label of something of `origin` made under the influence of what has `label`."""
    return label.join(Label(origins=frozenset({origin})))


def bounded(parts: Sequence[Part], *, limit: int = MAX_SHOWN) -> list[Part]:
    """
    Return the newest of `parts` that fit into `limit` characters, long results cut.

    A reply stays with its calls and their results, and the last thing a person said always stays.
    """
    blocks = _blocks([_cut(part) for part in parts])
    newest = len(blocks) - 1
    said = max((n for n, block in enumerate(blocks) if block[0].role is Role.USER), default=newest)
    kept = {said, newest}
    room = limit - sum(_size(blocks[n]) for n in kept if n >= 0)
    for n in range(newest - 1, -1, -1):
        room -= 0 if n in kept else _size(blocks[n])
        if room < 0:
            break
        kept.add(n)
    return [part for n in sorted(kept) if n >= 0 for part in blocks[n]]


def _blocks(parts: Sequence[Part]) -> list[list[Part]]:
    """Cut parts where nothing is torn apart: before something said, and before a reply."""
    blocks: list[list[Part]] = []
    for part in parts:
        if part.role in {Role.CALL, Role.RESULT} and blocks:
            blocks[-1].append(part)
        else:
            blocks.append([part])
    return blocks


def _cut(part: Part) -> Part:
    if part.role is not Role.RESULT or _size([part]) <= MAX_RESULT:
        return part
    text = text_of(part.content["value"])
    value = f"{text[:MAX_RESULT]}\n[{len(text) - MAX_RESULT} more characters are left out]"
    return replace(part, content={**part.content, "value": value})


def text_of(value: Any) -> str:
    """Return a value as the model reads it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def plain(value: Any) -> Any:
    """Return `value` if it can be kept (it has a canonical form), else its JSON as text."""
    try:
        canonical(value)
    except Invalid:
        return json.dumps(value)
    return value


def _size(parts: Sequence[Part]) -> int:
    return sum(len(text_of(part.content)) for part in parts)


def _last_reply(parts: Sequence[Part]) -> int:
    for n in range(len(parts) - 1, -1, -1):
        if parts[n].role is Role.USER:
            break
        if parts[n].role is Role.ASSISTANT:
            return n
    return len(parts)


def _joined(parts: Iterable[Part]) -> Label:
    label = Label(origins=frozenset())
    for part in parts:
        label = label.join(part.label)
    return label
