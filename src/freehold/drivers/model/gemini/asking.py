"""
A chat completion as a request for content.

Left out because the answer stays one to the same question: `user` and other names of who asks, `store`, `metadata`,
a service tier, the wish to be told usage, and whether several tools may be called at once. What else cannot be said
is refused by name: several answers at once, sound, pictures that lie elsewhere.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from freehold.gateway.calls.apart import Json, decoded, objects, unsaid
from freehold.gateway.formats import Asked

NO_SIGNATURE: Final = "skip_thought_signature_validator"
"""What stands for the signature of a thought that nobody kept; newer models insist on one with each call."""
_UNSIGNED: Final = ("gemini-1", "gemini-2", "gemma")
_BUDGETS: Final = MappingProxyType({"none": 0, "minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576})
_SAME: Final = MappingProxyType(
    {
        "temperature": "temperature",
        "top_p": "topP",
        "seed": "seed",
        "presence_penalty": "presencePenalty",
        "frequency_penalty": "frequencyPenalty",
    }
)
_HERE: Final = frozenset(
    {"model", "messages", "max_tokens", "max_completion_tokens", "tools", "tool_choice", "response_format", "stop"}
    | {"reasoning_effort", "stream"}
)
_LEFT_OUT: Final = frozenset(
    {"user", "store", "metadata", "service_tier", "stream_options", "safety_identifier", "prompt_cache_key"}
    | {"verbosity", "parallel_tool_calls", "logit_bias"}
)
_IDLE: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {"n": (1,), "logprobs": (False,), "modalities": (["text"],)}
)
"""Members that say nothing with these values."""


def content(asked: Asked, *, model: str, limit: int | None) -> bytes:
    """Return the body of the request for content that a chat completion means."""
    told = decoded(asked.body)
    config: Json = {}
    for name, value in told.items():
        if value is None or name in _HERE | _LEFT_OUT or value in _IDLE.get(name, ()):
            continue
        if name not in _SAME:
            raise unsaid(name)
        config[_SAME[name]] = value
    most = limit or told.get("max_completion_tokens") or told.get("max_tokens")
    config |= {"maxOutputTokens": most} if most else {}
    if told.get("stop"):
        config["stopSequences"] = [told["stop"]] if isinstance(told["stop"], str) else told["stop"]
    config |= _format(told.get("response_format")) | _thinking(told.get("reasoning_effort"))
    body = _turns(told.get("messages"), signed=not model.startswith(_UNSIGNED)) | _tools(told)
    return msgspec.json.encode(body | ({"generationConfig": config} if config else {}))


def _turns(told: Any, *, signed: bool) -> Json:
    system: list[Json] = []
    turns: list[Json] = []
    names: dict[str, str] = {}
    for message in objects(told, "messages"):
        role = str(message.get("role"))
        parts = _parts(message.get("content"))
        if role in {"system", "developer"}:
            system += parts
            continue
        if role == "assistant":
            parts += [
                _call(call, names, signed=signed) for call in objects(message.get("tool_calls") or [], "messages")
            ]
        elif role == "tool":
            parts = [_result(message, names)]
        elif role != "user":
            raise unsaid("messages.role")
        side = "model" if role == "assistant" else "user"
        if turns and turns[-1]["role"] == side:
            turns[-1]["parts"] += parts
        elif parts:
            turns.append({"role": side, "parts": parts})
    return {"contents": turns} | ({"systemInstruction": {"parts": system}} if system else {})


def _call(call: Json, names: dict[str, str], *, signed: bool) -> Json:
    (function,) = objects([call.get("function") or {}], "messages.tool_calls.function")
    names[str(call.get("id"))] = str(function.get("name"))
    part: Json = {"functionCall": {"name": function.get("name"), "args": _object(function.get("arguments"))}}
    match call.get("extra_content"):
        case {"google": {"thought_signature": str(signature)}}:
            return part | {"thoughtSignature": signature}
        case _:
            return part | ({"thoughtSignature": NO_SIGNATURE} if signed else {})


def _result(message: Json, names: Mapping[str, str]) -> Json:
    """Return the result of a call, which goes by the call's name; what is no object is the member `result` of one."""
    name = names.get(str(message.get("tool_call_id")))
    if name is None:
        raise unsaid("messages.tool_call_id")
    words = "\n".join(part["text"] for part in _parts(message.get("content")) if "text" in part)
    return {"functionResponse": {"name": name, "response": _object(words)}}


def _object(text: Any) -> Json:
    try:
        told = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, TypeError):
        told = text
    return told if isinstance(told, dict) else {"result": told}


def _parts(content: Any) -> list[Json]:
    if not content:
        return []
    if isinstance(content, str):
        return [{"text": content}]
    return [_part(part) for part in objects(content, "messages.content")]


def _part(part: Json) -> Json:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"text": text}
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return _inline(url, "messages.content.image_url")
        case {"type": "file", "file": {"file_data": str(data)}}:
            return _inline(data, "messages.content.file")
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(kind)}}:
            return {"inlineData": {"mimeType": f"audio/{kind}", "data": data}}
        case _:
            raise unsaid(f"messages.content.{part.get('type')}")


def _inline(url: str, name: str) -> Json:
    head, comma, data = url.partition(",")
    if not head.startswith("data:") or not comma:
        raise unsaid(name)  # what lies elsewhere would have to be fetched first
    return {"inlineData": {"mimeType": head[5:].removesuffix(";base64"), "data": data}}


def _tools(told: Json) -> Json:
    tools = told.get("tools")
    if not tools:
        return {}
    declared = [_tool(tool) for tool in objects(tools, "tools")]
    made: Json = {"tools": [{"functionDeclarations": declared}]}
    match told.get("tool_choice"):
        case None | "auto":
            return made
        case "none" | "required" as word:
            choice: Json = {"mode": "NONE" if word == "none" else "ANY"}
        case {"type": "function", "function": {"name": str(name)}}:
            choice = {"mode": "ANY", "allowedFunctionNames": [name]}
        case _:
            raise unsaid("tool_choice")
    return made | {"toolConfig": {"functionCallingConfig": choice}}


def _tool(tool: Json) -> Json:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        raise unsaid(f"tools.{tool.get('type')}")
    made: Json = {"name": function.get("name")}
    made |= {"description": function["description"]} if function.get("description") else {}
    return made | ({"parametersJsonSchema": function["parameters"]} if function.get("parameters") else {})


def _format(told: Any) -> Json:
    match told:
        case None | {"type": "text"}:
            return {}
        case {"type": "json_object"}:
            return {"responseMimeType": "application/json"}
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return {"responseMimeType": "application/json", "responseJsonSchema": schema}
        case _:
            raise unsaid("response_format")


def _thinking(effort: Any) -> Json:
    budget = _BUDGETS.get(str(effort))
    return {} if budget is None else {"thinkingConfig": {"thinkingBudget": budget}}
