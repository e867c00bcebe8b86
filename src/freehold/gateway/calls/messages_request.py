"""
Anthropic's Messages for a provider that only takes chat completions: the request's half.

Left out because the answer stays one to the same question: marks for caches, thoughts of earlier turns and the wish to
think, `top_k`, `metadata`, `service_tier`, and whether a tool's result was an error (its text says so). What else
cannot be said is refused by name.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import msgspec

from freehold.gateway.calls.apart import Json, decoded, objects, unsaid, wrong
from freehold.gateway.formats import Api, Asked

_LEFT_OUT: Final = frozenset({"top_k", "metadata", "service_tier", "thinking", "context_management", "inference_geo"})
_HERE: Final = frozenset({"model", "messages", "system", "tool_choice", "output_config"})
_SAME: Final = MappingProxyType(
    {"max_tokens": "max_completion_tokens", "temperature": "temperature", "top_p": "top_p", "stop_sequences": "stop"}
)
_CHOICES: Final = MappingProxyType({"auto": "auto", "any": "required", "none": "none"})


def chat(asked: Asked) -> Asked:
    """Return the chat completion that a request for a message means."""
    told = decoded(asked.body)
    body: Json = {"model": asked.model, "messages": _system(told.get("system"))}
    for message in objects(told.get("messages"), "messages"):
        body["messages"] += _message(message)
    for name, value in told.items():
        if name in _SAME:
            body[_SAME[name]] = value
        elif name == "tools":
            body["tools"] = [_tool(tool) for tool in objects(value, "tools")]
        elif name == "stream":
            body |= {"stream": value, "stream_options": {"include_usage": True}} if value else {}
        elif name not in _HERE | _LEFT_OUT and value is not None:
            raise unsaid(name)
    body |= _choice(told.get("tool_choice")) | _format(told.get("output_config"))
    headers = {name: value for name, value in asked.headers.items() if not name.startswith("anthropic-")}
    return replace(
        asked,
        api=Api.CHAT,
        body=msgspec.json.encode(body),
        content_type="application/json",
        usage_wanted=asked.stream,
        headers=headers,
    )


def _system(told: Any) -> list[Json]:
    if not told:
        return []
    text = told if isinstance(told, str) else "\n\n".join(_text(block) for block in objects(told, "system"))
    return [{"role": "system", "content": text}]


def _message(message: Json) -> list[Json]:
    """Return the messages that one of Anthropic's means: results of tools are messages of their own, and come first."""
    role, content = str(message.get("role")), message.get("content")
    if role not in {"user", "assistant", "system"}:
        raise wrong("messages")
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    blocks = [block for block in objects(content, "messages") if str(block.get("type")) not in _THOUGHTS]
    if role == "assistant":
        return _assistant(blocks)
    results: list[Json] = []
    parts: list[Json] = []
    for block in blocks:
        if block.get("type") == "tool_result":
            text, pictures = _result(block)
            results.append({"role": "tool", "tool_call_id": str(block.get("tool_use_id", "")), "content": text})
            parts += pictures
        else:
            parts.append(_part(block))
    return [*results, {"role": role, "content": _plain(parts)}] if parts or not results else results


_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})


def _assistant(blocks: Iterable[Json]) -> list[Json]:
    texts, calls = [], []
    for block in blocks:
        if block.get("type") == "tool_use":
            arguments = msgspec.json.encode(block.get("input") or {}).decode()
            function = {"name": block.get("name"), "arguments": arguments}
            calls.append({"id": block.get("id"), "type": "function", "function": function})
        else:
            texts.append(_text(block))
    message: Json = {"role": "assistant", "content": "".join(texts) or None}
    return [message | ({"tool_calls": calls} if calls else {})]


def _result(block: Json) -> tuple[str, list[Json]]:
    """Return the words of a tool's result, and its pictures, which only a person's message can hold."""
    content = block.get("content") or ""
    if isinstance(content, str):
        return content, []
    parts = [_part(one) for one in objects(content, "messages")]
    words = [part["text"] for part in parts if part["type"] == "text"]
    return "\n".join(words), [part for part in parts if part["type"] != "text"]


def _part(block: Json) -> Json:
    read = _PARTS.get(str(block.get("type")))
    if read is None:
        raise unsaid(f"messages.content.{block.get('type')}")
    return read(block)


def _image(block: Json) -> Json:
    return {"type": "image_url", "image_url": {"url": _url(block.get("source"), "messages.content.image")}}


def _document(block: Json) -> Json:
    source = block.get("source")
    if isinstance(source, dict) and source.get("type") == "text":
        return {"type": "text", "text": str(source.get("data", ""))}
    if not isinstance(source, dict) or source.get("type") != "base64":
        raise unsaid("messages.content.document")
    name = str(block.get("title") or "document.pdf")
    return {"type": "file", "file": {"filename": name, "file_data": _url(source, "messages.content.document")}}


def _url(source: Any, name: str) -> str:
    match source:
        case {"type": "base64", "media_type": str(media), "data": str(data)}:
            return f"data:{media};base64,{data}"
        case {"type": "url", "url": str(url)}:
            return url
        case _:
            raise unsaid(name)


_PARTS: Final[Mapping[str, Callable[[Json], Json]]] = MappingProxyType(
    {"text": lambda block: {"type": "text", "text": _text(block)}, "image": _image, "document": _document}
)


def _plain(parts: list[Json]) -> str | list[Json]:
    """Return content as text where it is one: some providers take nothing else."""
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _tool(tool: Json) -> Json:
    if tool.get("type", "custom") != "custom":
        raise unsaid(f"tools.{tool.get('type')}")
    function = {"name": tool.get("name"), "parameters": tool.get("input_schema") or {"type": "object"}}
    function |= {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _choice(told: Any) -> Json:
    match told:
        case None:
            return {}
        case {"type": "tool", "name": str(name)}:
            choice: Any = {"type": "function", "function": {"name": name}}
        case {"type": str(kind)} if kind in _CHOICES:
            choice = _CHOICES[kind]
        case _:
            raise wrong("tool_choice")
    alone = told.get("disable_parallel_tool_use")
    return {"tool_choice": choice} | ({"parallel_tool_calls": False} if alone else {})


def _format(told: Any) -> Json:
    match told:
        case {"format": {"type": "json_schema", "schema": dict(schema)}}:
            named = {"name": "answer", "schema": schema, "strict": True}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case None | {"effort": _}:
            return {}
        case _:
            raise unsaid("output_config")


def _text(block: Json) -> str:
    text = block.get("text")
    if block.get("type") != "text" or not isinstance(text, str):
        raise unsaid(f"messages.content.{block.get('type')}")
    return text
