"""What differs between two versions, for people: what goes in red, what comes in green."""

from collections.abc import Iterator, Sequence
from typing import Any

from freehold.cli.showing import clean, colour


def compared(found: dict[str, Any]) -> Iterator[str]:
    """Give the lines that tell a difference, as the API answers it; text in them does not steer the terminal."""
    yield f"version {found['from_number']} → version {found['to_number']}"
    if found["same"]:
        yield "They are the same."
    if found["model"]:
        yield from _part("model", [f"-{found['model']['before']}", f"+{found['model']['after']}"])
    yield from _part("instructions", found["instructions"])
    yield from _part("tools", [line for one in found["tools"] for line in _tool(one)])
    for one in found["pinned"]:
        yield from _part(f"what {one['tool']} is", [*_kind(one), *one["words"]])
    hosts = found["egress"]
    yield from _part("hosts", [*(f"-{host}" for host in hosts["removed"]), *(f"+{host}" for host in hosts["added"])])


def _part(name: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield clean(name)
    for line in lines:
        shown = " ".join(clean(line).splitlines())
        painted = {"-": "red", "+": "green", "@": "dim"}.get(line[:1])
        yield f"  {colour(shown, painted) if painted else shown}".rstrip()


def _tool(one: dict[str, Any]) -> list[str]:
    sides = (("-", one["before"]), ("+", one["after"]))
    return [f"{sign}{one['tool']}={verdict}" for sign, verdict in sides if verdict]


def _kind(one: dict[str, Any]) -> list[str]:
    """Return what a tool does to the world where that changed, and its hash where nothing else shows that it did."""
    before, after = one["before"], one["after"]
    if not (before and after):
        return [f"{sign}kind: {side['kind']}" for sign, side in (("-", before), ("+", after)) if side]
    if before["kind"] != after["kind"]:
        return [f"-kind: {before['kind']}", f"+kind: {after['kind']}"]
    return [] if one["words"] else [f"-hash: {before['hash']}", f"+hash: {after['hash']}"]
