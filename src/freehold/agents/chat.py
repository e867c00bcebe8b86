"""Parts as the chat completions interface spells them, and tools likewise: pure, and the same bytes every time."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from freehold.agents.context import text_of
from freehold.agents.furnishing import FOLDER
from freehold.agents.sources import ToolSpec
from freehold.core.parts import Part, Role

NO_RESULT = "(no result: the turn ended before this call did)"
LONGEST_NAME: Final = 64


def body(parts: Sequence[Part], tools: Sequence[ToolSpec]) -> dict[str, Any]:
    """Return the request that shows a model `parts` and offers it `tools`, without model and stream."""
    asked: dict[str, Any] = {"messages": messages(parts)}
    if tools:
        asked["tools"] = [_tool(tool) for tool in tools]
    return asked


def messages(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """
    Return `parts` as chat messages.

    Calls belong to the reply before them and are answered right behind it, in the order they were made: a call
    without a result, as a cancelled turn leaves one, says so.
    """
    written: list[dict[str, Any]] = []
    instructions = [part.content["text"] for part in parts if part.role is Role.INSTRUCTIONS]
    if instructions:
        written.append({"role": "system", "content": "\n\n".join(instructions)})
    rest = [part for part in parts if part.role is not Role.INSTRUCTIONS]
    n = 0
    while n < len(rest):
        if rest[n].role is Role.USER:
            written.append({"role": "user", "content": _said(rest[n].content)})
            n += 1
            continue
        end = _end_of_reply(rest, n)
        written += _reply(rest[n:end])
        n = end
    return written


def wire_name(tool: str) -> str:
    """
    Return the name by which a model knows a tool: providers allow no dot, and 64 signs.

    Where another tool could come to the same name, or it is too long, its hash tells it apart.
    """
    name = tool.replace(".", "__")
    ours = tool.count(".") + tool.count("__")
    if ours <= 1 and "___" not in name and len(name) <= LONGEST_NAME and (ours == 0 or "." in tool):
        return name
    return f"{name[: LONGEST_NAME - 11]}_{hashlib.sha256(tool.encode()).hexdigest()[:10]}"


def _end_of_reply(parts: Sequence[Part], start: int) -> int:
    end = start + 1
    while end < len(parts) and parts[end].role in {Role.CALL, Role.RESULT}:
        end += 1
    return end


def _reply(parts: Sequence[Part]) -> list[dict[str, Any]]:
    text = "".join(part.content["text"] for part in parts if part.role is Role.ASSISTANT)
    calls = [part.content for part in parts if part.role is Role.CALL]
    results = {part.content["id"]: part.content["value"] for part in parts if part.role is Role.RESULT}
    if not calls:
        return [{"role": "assistant", "content": text}] if text else []
    reply = {"role": "assistant", "content": text or None, "tool_calls": [_call(call) for call in calls]}
    answers = [
        {"role": "tool", "tool_call_id": call["id"], "content": text_of(results.get(call["id"], NO_RESULT))}
        for call in calls
    ]
    return [reply, *answers]


def _call(call: dict[str, Any]) -> dict[str, Any]:
    # Providers refuse arguments that are no JSON object; the result tells the model what was wrong with them.
    arguments = call["arguments"] if isinstance(call["arguments"], dict) else {}
    function = {"name": wire_name(call["name"]), "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {"id": call["id"], "type": "function", "function": function}


def _said(content: dict[str, Any]) -> str:
    names = [attached["name"] for attached in content.get("attachments") or ()]
    return "\n".join([str(content["text"]), *(f"[attached: {FOLDER}/{name}]" for name in names)])


def _tool(tool: ToolSpec) -> dict[str, Any]:
    described = {"name": wire_name(tool.name), "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": described}
