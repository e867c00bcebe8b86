"""
A chat completion as a request for a message.

Left out because the answer stays one to the same question: `seed`, `user` and other names of who asks, `store`,
`metadata`, penalties of zero, a service tier, and the wish to be told usage. What else cannot be said is refused by
name: several answers at once, probabilities, sound.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from freehold.gateway.calls.apart import Json, decoded, objects, unsaid, wrong
from freehold.gateway.formats import Asked

USUAL_LIMIT: Final = 4_096
"""Tokens of an answer whose caller set no limit; the format insists on one."""
_BUDGETS: Final = MappingProxyType({"minimal": 1_024, "low": 1_024, "medium": 4_096, "high": 16_384})
"""Tokens to think with, for the words in which callers say it."""
_HERE: Final = frozenset(
    {"model", "messages", "max_tokens", "max_completion_tokens", "tools", "tool_choice", "parallel_tool_calls"}
    | {"response_format", "reasoning_effort", "stream", "stop", "temperature", "top_p"}
)
_LEFT_OUT: Final = frozenset(
    {"seed", "user", "store", "metadata", "service_tier", "stream_options", "safety_identifier", "prompt_cache_key"}
    | {"verbosity", "logit_bias"}
)
_IDLE: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {"n": (1,), "logprobs": (False,), "frequency_penalty": (0,), "presence_penalty": (0,), "modalities": (["text"],)}
)
"""Members that say nothing with these values."""


def messages(asked: Asked, *, model: str, limit: int | None) -> bytes:
    """Return the body of the request for a message that a chat completion means."""
    told = decoded(asked.body)
    system, turns = _turns(told.get("messages"))
    most = limit or told.get("max_completion_tokens") or told.get("max_tokens") or USUAL_LIMIT
    if type(most) is not int:
        raise wrong("max_tokens")
    body: Json = {"model": model, "max_tokens": most, "messages": turns} | _wishes(told)
    if system:
        body["system"] = system
    if told.get("stream"):
        body["stream"] = True
    body |= _tools(told) | _format(told.get("response_format")) | _thinking(told.get("reasoning_effort"), most)
    if "thinking" in body:
        body.pop("temperature", None)  # the format allows only one of the two
    return msgspec.json.encode(body)


def _wishes(told: Json) -> Json:
    """Return what stands in both formats alike; raise `Invalid` for what stands only in the caller's."""
    made: Json = {}
    for name, value in told.items():
        if name in {"temperature", "top_p"} and value is not None:
            if not isinstance(value, int | float):
                raise wrong(name)
            made[name] = min(value, 1.0)  # more than that is not known there
        elif name not in _HERE | _LEFT_OUT and value is not None and value not in _IDLE.get(name, ()):
            raise unsaid(name)
    if told.get("stop"):
        made["stop_sequences"] = [told["stop"]] if isinstance(told["stop"], str) else told["stop"]
    return made


def _turns(told: Any) -> tuple[str, list[Json]]:
    """Return what the system says, and the turns of the others; turns of the same side are one."""
    system: list[str] = []
    turns: list[Json] = []
    for message in objects(told, "messages"):
        role = str(message.get("role"))
        if role in {"system", "developer"}:
            system.append(_words(message.get("content")))
            continue
        side, blocks = ("assistant", _said(message)) if role == "assistant" else ("user", _heard(message))
        if turns and turns[-1]["role"] == side:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": side, "content": blocks})
    return "\n\n".join(system), turns


def _heard(message: Json) -> list[Json]:
    content = message.get("content")
    if message.get("role") == "tool":
        text = _words(content)
        return [{"type": "tool_result", "tool_use_id": str(message.get("tool_call_id")), "content": text}]
    if message.get("role") != "user":
        raise unsaid("messages.role")
    if isinstance(content, str):
        return _text(content)
    return [block for part in objects(content, "messages.content") for block in _part(part)]


def _said(message: Json) -> list[Json]:
    blocks = _text(_words(message.get("content")) if message.get("content") else "")
    for call in objects(message.get("tool_calls") or [], "messages.tool_calls"):
        (function,) = objects([call.get("function") or {}], "messages.tool_calls.function")
        blocks.append(
            {
                "type": "tool_use",
                "id": str(call.get("id")),
                "name": function.get("name"),
                "input": _arguments(function.get("arguments")),
            }
        )
    return blocks


def _part(part: Json) -> list[Json]:
    match part:
        case {"type": "text", "text": str(text)}:
            return _text(text)
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return [{"type": "image", "source": _source(url)}]
        case {"type": "file", "file": {"file_data": str(data)}}:
            return [{"type": "document", "source": _source(data)}]
        case _:
            raise unsaid(f"messages.content.{part.get('type')}")


def _source(url: str) -> Json:
    head, comma, data = url.partition(",")
    if head.startswith("data:") and comma:
        return {"type": "base64", "media_type": head[5:].removesuffix(";base64"), "data": data}
    return {"type": "url", "url": url}


def _text(text: str) -> list[Json]:
    return [{"type": "text", "text": text}] if text else []  # an empty block is refused there


def _arguments(told: Any) -> Json:
    """Return the arguments of an earlier call as an object; a model's own broken JSON as its one member."""
    try:
        arguments = msgspec.json.decode(told or "{}")
    except (msgspec.DecodeError, TypeError):
        arguments = None
    return arguments if isinstance(arguments, dict) else {"arguments": told}


def _tools(told: Json) -> Json:
    made: Json = {}
    tools = told.get("tools")
    if not tools:
        return made
    made["tools"] = [_tool(tool) for tool in objects(tools, "tools")]
    match told.get("tool_choice"):
        case None | "auto":
            choice: Json = {"type": "auto"}
        case "none":
            choice = {"type": "none"}
        case "required":
            choice = {"type": "any"}
        case {"type": "function", "function": {"name": str(name)}}:
            choice = {"type": "tool", "name": name}
        case _:
            raise unsaid("tool_choice")
    if told.get("parallel_tool_calls") is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return made | ({"tool_choice": choice} if choice != {"type": "auto"} else {})


def _tool(tool: Json) -> Json:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        raise unsaid(f"tools.{tool.get('type')}")
    made: Json = {"name": function.get("name"), "input_schema": function.get("parameters") or {"type": "object"}}
    return made | ({"description": function["description"]} if function.get("description") else {})


def _format(told: Any) -> Json:
    match told:
        case None | {"type": "text"}:
            return {}
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
        case _:
            raise unsaid("response_format")


def _thinking(effort: Any, most: int) -> Json:
    """Return the wish to think, where there is room for it beside the answer."""
    budget = min(_BUDGETS.get(str(effort), 0), most // 2)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= _BUDGETS["low"] else {}


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in objects(content or [], "messages.content")]
    if any(block["type"] != "text" for part in parts for block in part):
        raise unsaid("messages.content")
    return "\n".join(block["text"] for part in parts for block in part)
