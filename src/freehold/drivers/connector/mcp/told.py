"""What a server tells of its tools, and what they answered, in our words."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from freehold.core.effects import EffectKind
from freehold.core.tools import Tool

Json = dict[str, Any]

MAX_TEXT: Final = 1 << 20
"""Characters of all that one call tells."""
MAX_BLOCKS: Final = 1_000
LONGEST_NAME: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]")


def tools_of(listed: Sequence[Any]) -> dict[str, Tool]:
    """Return the tools of a listing by the names their server has for them; what is no tool is left out."""
    found: dict[str, Tool] = {}
    for told in listed:
        tool = _tool(told) if isinstance(told, dict) else None
        if tool is not None:
            found.setdefault(str(tool.how["tool"]), tool)
    return found


def same(one: Tool, other: Tool) -> bool:
    """Return whether two tools say the same; of what kind one is, whoever runs the connection may say otherwise."""
    return (one.description, one.parameters, one.how) == (other.description, other.parameters, other.how)


def name_of(stated: str) -> str:
    """Return the operation that a server's tool is; one that cannot be called so gets a name that can."""
    if _NAME.fullmatch(stated):
        return stated
    mark = hashlib.sha256(stated.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{_NOT_IN_NAMES.sub('_', stated)[: LONGEST_NAME - 9]}_{mark}"


def result_of(told: Mapping[str, Any]) -> Json:
    """Return what a call came to: text as it is up to a limit, and of everything else what it was and how large."""
    if told.get("resultType") == "input_required":
        return error_of({"message": "The tool asks for something back, and nobody answers that here."})
    room = _Room(MAX_TEXT)
    blocks = told.get("content")
    stated = blocks if isinstance(blocks, list) else []
    content = [_block(block, room) for block in stated[:MAX_BLOCKS] if isinstance(block, dict)]
    result: Json = {"content": content}
    structured = told.get("structuredContent")
    if isinstance(structured, dict) and not _repeats(structured, content):
        if room.holds(len(msgspec.json.encode(structured))):
            result["structured"] = structured
        else:
            room.cut = True
    if told.get("isError") is True:
        result["is_error"] = True
    if room.cut or len(stated) > MAX_BLOCKS:
        result["truncated"] = True
    return result


def error_of(told: Mapping[str, Any]) -> Json:
    """Return what a call came to that the server answered with an error of the protocol."""
    return {"content": [{"type": "text", "text": str(told.get("message") or "")[:MAX_TEXT]}], "is_error": True}


def _repeats(structured: Json, content: Sequence[Json]) -> bool:
    """Return whether the text says the same already, as most servers have it: a model need not read it twice."""
    texts = [block["text"] for block in content if block["type"] == "text"]
    said = structured.get("result") if set(structured) == {"result"} else None
    if said is not None and texts in ([said], said):
        return True
    if len(texts) != 1:
        return False
    try:
        return bool(msgspec.json.decode(texts[0]) == structured)
    except (msgspec.DecodeError, RecursionError):
        return False


class _Room:
    """What there is still room for."""

    def __init__(self, most: int) -> None:
        self.left, self.cut = most, False

    def text(self, text: str) -> str:
        """Return as much of `text` as there is room for."""
        kept = text[: self.left]
        self.left -= len(kept)
        self.cut = self.cut or len(kept) < len(text)
        return kept

    def holds(self, size: int) -> bool:
        """Take `size` if there is room for it."""
        if size > self.left:
            return False
        self.left -= size
        return True


def _tool(told: Json) -> Tool | None:
    name, parameters = told.get("name"), told.get("inputSchema")
    if not isinstance(name, str) or not name or not isinstance(parameters, dict):
        return None
    title = told.get("title")
    how: Json = {"tool": name} | ({"title": title} if isinstance(title, str) and title else {})
    description = told.get("description")
    return Tool(
        name=name_of(name),
        description=description if isinstance(description, str) else "",
        parameters=parameters,
        kind=_kind(told.get("annotations")),
        how=how,
    )


def _kind(annotations: Any) -> EffectKind:
    hints = annotations if isinstance(annotations, dict) else {}
    if hints.get("readOnlyHint") is True:
        return EffectKind.READ
    return EffectKind.DESTROY if hints.get("destructiveHint") is True else EffectKind.MESSAGE


def _block(block: Json, room: _Room) -> Json:
    kind = str(block.get("type") or "")[:40]
    if kind == "text":
        return {"type": kind, "text": room.text(str(block.get("text") or ""))}
    if kind == "resource_link":
        said = {name: room.text(str(block[name])) for name in ("uri", "name", "description") if block.get(name)}
        return {"type": kind, **said}
    inner = block.get("resource")
    resource = inner if kind == "resource" and isinstance(inner, dict) else {}
    if isinstance(resource.get("text"), str):
        return {"type": kind, "uri": room.text(str(resource.get("uri") or "")), "text": room.text(resource["text"])}
    packed = resource.get("blob") or block.get("data")
    size = len(packed.rstrip("=")) * 3 // 4 if isinstance(packed, str) else 0
    mime = str(resource.get("mimeType") or block.get("mimeType") or "")[:100]
    return {"type": kind, "mime": mime, "bytes": size, "note": "left out: only text is passed on"}
