"""
What a request refers to instead of saying it: answers, containers, files and the like that its provider keeps.

Who holds the account may refer to all that was ever kept there. On the platform's account that is every tenant's, so
there nothing may be referred to; on a tenant's own everything may. What looks like a reference counts as one, but for
the arguments and schemas of tools, in which names mean what the caller likes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from freehold.core.errors import Denied
from freehold.gateway.asked import Api, Asked
from freehold.gateway.calls import bodies
from freehold.gateway.calls.routing import Way

_ANYWHERE: Final = frozenset(
    {
        "previous_response_id",
        "conversation",
        "conversation_id",
        "container_id",
        "file_id",
        "file_ids",
        "skill_id",
        "vector_store_id",
        "vector_store_ids",
    }
)
_WITH_ID: Final = frozenset({"audio", "container", "prompt"})
"""Members that refer to something where they are a name alone, or an object with an id."""
_CALLERS_OWN: Final = frozenset({"annotations", "input_schema", "metadata", "parameters", "schema"})
_TOOL_USE: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_SAYS_IT: Final = {"reasoning": "encrypted_content", "image_generation_call": "result"}
"""Items of an input that are looked up by their ids, and the member without which they are."""
_FRAME: Final = frozenset({"id", "type", "status", "object"})
_MARKS: Final = (
    *(mark.encode() for mark in ("response_id", "conversation", "container", "file_id", "skill_id", "vector_store_id")),
    b'"audio"',
    b'"prompt"',
)
_ITEMS: Final = b'"id"'
_ESCAPED: Final = (b"\\u002", b"\\u003", b"\\u004", b"\\u005", b"\\u006", b"\\u007")
"""Letters, digits and their like spelt in a way no program does: a name may hide in them."""


def reachable(ways: Sequence[Way], asked: Asked) -> Sequence[Way]:
    """
    Return the ways by which `asked` may go: where it refers to what is kept, to the tenant's own accounts alone.

    Raises `Denied` (`shared_account`) where none is left.
    """
    if all(way.own for way in ways) or not (name := kept(asked)):
        return ways
    own = [way for way in ways if way.own]
    if not own:
        raise Denied(
            f"`{name[:80]}` refers to something that the provider keeps, in an account that tenants share.",
            code="shared_account",
            remedy="Send what it refers to, or use a connection of the tenant's own.",
        )
    return own


def kept(asked: Asked) -> str:
    """Return the name of what `asked` refers to at its provider; empty where it says all itself."""
    if asked.api is Api.TRANSCRIPTION:
        return ""
    body = asked.body.lower()
    marks = (*_MARKS, *_ESCAPED, _ITEMS) if asked.api is Api.RESPONSES else (*_MARKS, *_ESCAPED)
    if not any(mark in body for mark in marks):
        return ""
    told = bodies.value(msgspec.Raw(asked.body))
    if not isinstance(told, dict):
        return ""
    items = _items(told) if asked.api is Api.RESPONSES else iter(())
    return next(items, "") or next(_within(told, asked.api), "")


def _within(told: Any, api: Api) -> Iterator[str]:
    """Give the names of the references in a value, however deep."""
    if isinstance(told, list):
        for one in told:
            yield from _within(one, api)
    if not isinstance(told, dict):
        return
    for name, one in told.items():
        lowered = name.lower()
        if not one or lowered in _CALLERS_OWN or (lowered == "input" and told.get("type") in _TOOL_USE):
            continue
        if lowered in _ANYWHERE or (lowered in _WITH_ID and _names(lowered, one, api)):
            yield name
        yield from _within(one, api)


def _names(name: str, told: Any, api: Api) -> bool:
    """Return whether a member that may refer to something does; a prompt that is text says it itself."""
    if isinstance(told, dict):
        return bool(told.get("id"))
    return isinstance(told, str) and name == "container" and api is not Api.IMAGES


def _items(told: dict[str, Any]) -> Iterator[str]:
    """Give the items of an input that stand for something else: by a reference, or by an id without what it names."""
    items = next((one for name, one in told.items() if name.lower() == "input"), None)
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict) or not item.get("id"):
            continue
        kind = str(item.get("type") or "")
        says = item.get(_SAYS_IT[kind]) if kind in _SAYS_IT else any(item[name] for name in item.keys() - _FRAME)
        if not says or kind == "item_reference":
            yield f"input.{kind or 'id'}"
