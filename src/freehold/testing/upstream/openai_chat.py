"""Chat completions, as OpenAI has them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.events import Event
from freehold.testing.upstream.plans import Piece, Plan, Question, Tool, usage_of

FINISH: Final = {"stop": "stop", "length": "length", "calls": "tool_calls"}
CREATED: Final = 1_700_000_000


def question(body: Mapping[str, Any]) -> Question:
    """Return what is asked."""
    messages = body.get("messages", ())
    choice = body.get("tool_choice")
    wanted = (body.get("response_format") or {}).get("json_schema")
    return Question(
        model=str(body.get("model", "")),
        text="\n".join(text for message in messages for text in texts(message.get("content"))),
        stream=bool(body.get("stream")),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        choices=int(body.get("n") or 1),
        tools=[
            Tool(name=tool["function"]["name"], schema=tool["function"].get("parameters", {}))
            for tool in body.get("tools") or ()
            if "function" in tool
        ],
        forced=choice["function"]["name"] if isinstance(choice, dict) else "*" if choice == "required" else "",
        answered=bool(messages) and messages[-1].get("role") == "tool",
        schema=wanted["schema"] if wanted else None,
    )


def texts(content: Any) -> Iterator[str]:
    """Find the text in content of any shape."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            yield from texts(part)
    elif isinstance(content, dict):
        yield from texts(content.get("text") or content.get("content"))


def whole(plan: Plan, act: Act, body: Mapping[str, Any], id_: str) -> dict[str, Any]:
    """Return a plain answer."""
    logprobs = bool(body.get("logprobs"))
    choices = [_choice(plan, choice, logprobs=logprobs) for choice in range(plan.question.choices)]
    return _head(plan, id_, "chat.completion") | {"choices": choices} | _usage(plan, act)


def stream(plan: Plan, act: Act, body: Mapping[str, Any], id_: str) -> Iterator[Event]:
    """Return the events of a stream."""
    chunk = _head(plan, id_, "chat.completion.chunk")
    logprobs, count = bool(body.get("logprobs")), plan.question.choices
    for choice in range(count):
        delta = {"role": "assistant", "content": "" if plan.finish != "calls" else None}
        yield Event(chunk | {"choices": [_delta(choice, delta)]})
    for piece in plan.pieces:
        held = {"logprobs": {"content": [_logprob(piece.text)]}} if logprobs and piece.kind == "text" else {}
        yield Event(chunk | {"choices": [_delta(piece.choice, _said(piece, id_)) | held]}, tokens=1)
    for choice in range(count):
        yield Event(chunk | {"choices": [_delta(choice, {}, FINISH[plan.finish])]})
    if (body.get("stream_options") or {}).get("include_usage"):
        for usage in usage_of(act, told(plan)):
            yield Event(chunk | {"choices": [], "usage": usage})
    yield Event(None, raw=b"[DONE]", last=True)


def told(plan: Plan) -> dict[str, Any]:
    """Return the usage of a chat completion."""
    return {
        "prompt_tokens": plan.tokens_in,
        "completion_tokens": plan.output,
        "total_tokens": plan.tokens_in + plan.output,
        "prompt_tokens_details": {"cached_tokens": plan.cached},
        "completion_tokens_details": {"reasoning_tokens": plan.hidden},
    }


def _usage(plan: Plan, act: Act) -> dict[str, Any]:
    said = usage_of(act, told(plan))
    return {"usage": said[-1]} if said else {}


def _head(plan: Plan, id_: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{id_}",
        "object": kind,
        "created": CREATED,
        "model": plan.question.model,
        "system_fingerprint": "fp_scripted",
    }


def _choice(plan: Plan, choice: int, *, logprobs: bool) -> dict[str, Any]:
    calls = [
        {"id": _call_id(choice, index), "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, name, arguments in plan.calls(choice)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": plan.text(choice=choice) or None, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    said = [piece.text for piece in plan.pieces if piece.choice == choice and piece.kind == "text"]
    return {
        "index": choice,
        "message": message,
        "logprobs": {"content": [_logprob(text) for text in said]} if logprobs else None,
        "finish_reason": FINISH[plan.finish],
    }


def _logprob(text: str) -> dict[str, Any]:
    return {"token": text, "logprob": -0.25, "bytes": list(text.encode()), "top_logprobs": []}


def _delta(choice: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": choice, "delta": delta, "finish_reason": finish}


def _said(piece: Piece, id_: str) -> dict[str, Any]:
    if piece.kind == "call":
        function = {"name": piece.text, "arguments": ""}
        call = {"index": piece.index, "id": _call_id(piece.choice, piece.index), "type": "function"}
        return {"tool_calls": [call | {"function": function}]}
    if piece.kind == "fragment":
        return {"tool_calls": [{"index": piece.index, "function": {"arguments": piece.text}}]}
    return {"content": piece.text}


def _call_id(choice: int, index: int) -> str:
    return f"call_{choice}_{index}"
