"""What two versions of an agent differ in: the model, the instructions, tools and what they say, and hosts."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from itertools import takewhile
from typing import Final

from freehold.core.agents import Spec
from freehold.core.effects import Verdict
from freehold.core.tools import Pinned

CLOSELY: Final = 1_000_000
"""Pairs of lines, at most, among which is looked for what stayed; beyond, the old text goes and the new one comes."""
AROUND: Final = 3
"""Lines shown around what changed."""
_PLACE: Final = re.compile(r"@@ -(\d+)(\S*) \+(\d+)(\S*) @@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Regranted:
    """A tool that may do something else than before; None where it was not granted."""

    tool: str
    before: Verdict | None
    after: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reworded:
    """A tool that is another than when it was pinned before; None where it was not pinned."""

    tool: str
    before: Pinned | None
    after: Pinned | None
    words: tuple[str, ...]
    """Its description and the schema of its arguments, as a unified diff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What is other in `after` than it was in `before`."""

    model: tuple[str, str] | None
    instructions: tuple[str, ...]
    """A unified diff, line by line, without the names of files."""
    tools: tuple[Regranted, ...]
    pinned: tuple[Reworded, ...]
    egress_added: tuple[str, ...]
    egress_removed: tuple[str, ...]

    def __bool__(self) -> bool:
        """Return whether there is any."""
        texts = self.instructions or self.tools or self.pinned
        return bool(self.model or texts or self.egress_added or self.egress_removed)


def compare(before: Spec, after: Spec) -> Difference:
    """Return what differs; tools and hosts by name."""
    tools = sorted(before.tools.keys() | after.tools.keys())
    pinned = sorted(before.pinned.keys() | after.pinned.keys())
    return Difference(
        model=None if before.model == after.model else (before.model, after.model),
        instructions=changed_lines(before.instructions, after.instructions),
        tools=tuple(
            Regranted(tool=tool, before=before.tools.get(tool), after=after.tools.get(tool))
            for tool in tools
            if before.tools.get(tool) != after.tools.get(tool)
        ),
        pinned=tuple(
            _reworded(tool, before.pinned.get(tool), after.pinned.get(tool))
            for tool in pinned
            if before.pinned.get(tool) != after.pinned.get(tool)
        ),
        egress_added=tuple(sorted(set(after.egress) - set(before.egress))),
        egress_removed=tuple(sorted(set(before.egress) - set(after.egress))),
    )


def changed_lines(before: str, after: str) -> tuple[str, ...]:
    """Return the unified diff of two texts, without the names of files; nothing where they are the same."""
    if before == after:
        return ()
    old, new = _lines(before), _lines(after)
    begin = _same(old, new)
    end = _same(old[begin:][::-1], new[begin:][::-1])
    gone, come = old[begin : len(old) - end], new[begin : len(new) - end]
    if len(gone) * len(come) > CLOSELY:
        place = f"@@ -{begin + 1},{len(gone)} +{begin + 1},{len(come)} @@"
        return (place, *(f"-{line}" for line in gone), *(f"+{line}" for line in come))
    # What is long and the same on both sides would be searched through for nothing.
    skipped, kept = max(0, begin - AROUND), max(0, end - AROUND)
    found = unified_diff(old[skipped : len(old) - kept], new[skipped : len(new) - kept], n=AROUND, lineterm="")
    return tuple(_moved(line, skipped) for line in found)[2:]


def _reworded(tool: str, before: Pinned | None, after: Pinned | None) -> Reworded:
    return Reworded(
        tool=tool,
        before=before,
        after=after,
        words=changed_lines(_words(before), _words(after)),
    )


def _words(pinned: Pinned | None) -> str:
    if pinned is None:
        return ""
    return f"{pinned.description}\n{json.dumps(pinned.parameters, indent=2, sort_keys=True, ensure_ascii=False)}"


def _lines(text: str) -> list[str]:
    return text.split("\n") if text else []


def _moved(line: str, by: int) -> str:
    """Return the line with its place counted from the beginning of the whole text, where it says one."""
    place = _PLACE.fullmatch(line)
    return f"@@ -{int(place[1]) + by}{place[2]} +{int(place[3]) + by}{place[4]} @@" if place else line


def _same(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many lines are the same from the beginning on."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
