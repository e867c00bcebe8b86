"""
OpenAI's Responses for a provider that only takes chat completions: the request's half.

Left out because the answer stays one to the same question: `store` (nothing is kept here or there), `metadata`,
`user` and other names of who asks, `include`, `truncation`, `verbosity`, summaries of reasoning and reasoning of
earlier turns. What else cannot be said is refused by name: above all what lies at a provider, such as
`previous_response_id`, and tools that a provider runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import msgspec

from freehold.gateway.calls.apart import Json, decoded, objects, unsaid, wrong
from freehold.gateway.formats import Api, Asked

_LEFT_OUT: Final = frozenset(
    {"store", "metadata", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier"}
    | {"include", "truncation", "stream_options", "max_tool_calls", "background", "context_management"}
)
_HERE: Final = frozenset({"model", "input", "instructions", "tool_choice", "text", "reasoning"})
_SAME: Final = MappingProxyType(
    {
        "max_output_tokens": "max_completion_tokens",
        "temperature": "temperature",
        "top_p": "top_p",
        "parallel_tool_calls": "parallel_tool_calls",
    }
)


def chat(asked: Asked) -> Asked:
    """Return the chat completion that a request for a response means."""
    told = decoded(asked.body)
    instructions = told.get("instructions")
    body: Json = {"model": asked.model, "messages": []}
    if instructions:
        body["messages"].append({"role": "system", "content": _words(instructions, "instructions")})
    body["messages"] += _input(told.get("input"))
    for name, value in told.items():
        if value is None or name in _HERE:
            continue
        if name in _SAME:
            body[_SAME[name]] = value
        elif name == "tools":
            body |= {"tools": [_tool(tool) for tool in objects(value, "tools")]} if value else {}
        elif name == "stream":
            body |= {"stream": value, "stream_options": {"include_usage": True}} if value else {}
        elif name not in _LEFT_OUT or (name == "background" and value):
            raise unsaid(name)
    body |= _choice(told.get("tool_choice")) | _format(told.get("text")) | _reasoning(told.get("reasoning"))
    return replace(
        asked,
        api=Api.CHAT,
        body=msgspec.json.encode(body),
        content_type="application/json",
        usage_wanted=asked.stream,
    )


def _input(told: Any) -> list[Json]:
    if isinstance(told, str):
        return [{"role": "user", "content": told}]
    messages: list[Json] = []
    for item in objects(told, "input"):
        kind = item.get("type") or "message"
        read = _ITEMS.get(str(kind))
        if kind == "reasoning":
            continue
        if read is None:
            raise unsaid(f"input.{kind}")
        message = read(item)
        if "tool_calls" in message and messages and messages[-1]["role"] == "assistant":
            # A call belongs to the message of the model that it was made in.
            messages[-1].setdefault("tool_calls", []).extend(message["tool_calls"])
        else:
            messages.append(message)
    return messages


def _message(item: Json) -> Json:
    role, content = str(item.get("role")), item.get("content")
    if role not in {"user", "assistant", "system", "developer"}:
        raise wrong("input.role")
    role = "system" if role == "developer" else role
    if isinstance(content, str):
        return {"role": role, "content": content}
    return {"role": role, "content": _plain([_part(part) for part in objects(content, "input.content")])}


def _call(item: Json) -> Json:
    function = {"name": _words(item.get("name"), "input.name"), "arguments": str(item.get("arguments") or "{}")}
    call = {"id": _words(item.get("call_id"), "input.call_id"), "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _output(item: Json) -> Json:
    output = item.get("output")
    if not isinstance(output, str):
        output = _plain([_part(part) for part in objects(output, "input.output")])
    if not isinstance(output, str):
        raise unsaid("input.output")
    return {"role": "tool", "tool_call_id": _words(item.get("call_id"), "input.call_id"), "content": output}


_ITEMS: Final[Mapping[str, Callable[[Json], Json]]] = MappingProxyType(
    {"message": _message, "function_call": _call, "function_call_output": _output}
)


def _part(part: Json) -> Json:
    match part:
        case {"type": "input_text" | "output_text" | "text", "text": str(text)} | {
            "type": "refusal",
            "refusal": str(text),
        }:
            return {"type": "text", "text": text}
        case {"type": "input_image", "image_url": str(url)}:
            detail = part.get("detail")
            return {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail else {})}
        case {"type": "input_file", "file_data": str(data)}:
            return {"type": "file", "file": {"filename": str(part.get("filename") or "file"), "file_data": data}}
        case _:
            raise unsaid(f"input.content.{part.get('type')}")


def _plain(parts: list[Json]) -> str | list[Json]:
    """Return content as text where it is one: some providers take nothing else."""
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _tool(tool: Json) -> Json:
    if tool.get("type") != "function":
        raise unsaid(f"tools.{tool.get('type')}")
    function = {"name": tool.get("name"), "parameters": tool.get("parameters") or {"type": "object"}}
    function |= {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _choice(told: Any) -> Json:
    match told:
        case None:
            return {}
        case "auto" | "none" | "required":
            return {"tool_choice": told}
        case {"type": "function", "name": str(name)}:
            return {"tool_choice": {"type": "function", "function": {"name": name}}}
        case _:
            raise unsaid("tool_choice")


def _format(told: Any) -> Json:
    match told.get("format") if isinstance(told, dict) else None:
        case None | {"type": "text"}:
            return {}
        case {"type": "json_object"}:
            return {"response_format": {"type": "json_object"}}
        case {"type": "json_schema", "schema": dict(schema)} as stated:
            named = {"name": stated.get("name") or "answer", "schema": schema}
            named |= {name: stated[name] for name in ("description", "strict") if stated.get(name) is not None}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case _:
            raise unsaid("text.format")


def _reasoning(told: Any) -> Json:
    effort = told.get("effort") if isinstance(told, dict) else None
    return {"reasoning_effort": effort} if effort else {}


def _words(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise wrong(name)
    return value
