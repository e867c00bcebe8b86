"""Responses, as OpenAI has them."""

from collections.abc import Iterator, Mapping
from typing import Any

from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.events import Event
from freehold.testing.upstream.openai_chat import CREATED, texts
from freehold.testing.upstream.plans import Plan, Question, Tool, usage_of


def question(body: Mapping[str, Any]) -> Question:
    """Return what is asked."""
    given, choice = body.get("input", ""), body.get("tool_choice")
    wanted = (body.get("text") or {}).get("format") or {}
    return Question(
        model=str(body.get("model", "")),
        text="\n".join([*texts(body.get("instructions")), *texts(given)]),
        stream=bool(body.get("stream")),
        limit=body.get("max_output_tokens"),
        tools=[
            Tool(name=tool["name"], schema=tool.get("parameters", {}))
            for tool in body.get("tools") or ()
            if tool.get("type") == "function"
        ],
        forced=choice["name"] if isinstance(choice, dict) else "*" if choice == "required" else "",
        answered=isinstance(given, list) and bool(given) and given[-1].get("type") == "function_call_output",
        schema=wanted.get("schema"),
    )


def whole(plan: Plan, act: Act, body: Mapping[str, Any], id_: str) -> dict[str, Any]:
    """Return a plain answer."""
    said = usage_of(act, told(plan))
    return _response(plan, body, id_, _status(plan)) | {
        "output": _output(plan, id_),
        "usage": said[-1] if said else None,
    }


def stream(plan: Plan, act: Act, body: Mapping[str, Any], id_: str) -> Iterator[Event]:
    """Return the events of a stream, numbered."""
    for number, event in enumerate(_stream(plan, act, body, id_)):
        event.data["sequence_number"] = number
        yield event


def told(plan: Plan) -> dict[str, Any]:
    """Return the usage of a response."""
    return {
        "input_tokens": plan.tokens_in,
        "input_tokens_details": {"cached_tokens": plan.cached},
        "output_tokens": plan.output,
        "output_tokens_details": {"reasoning_tokens": plan.hidden},
        "total_tokens": plan.tokens_in + plan.output,
    }


def _stream(plan: Plan, act: Act, body: Mapping[str, Any], id_: str) -> Iterator[Event]:
    begun = _response(plan, body, id_, "in_progress")
    yield _event("response.created", response=begun)
    yield _event("response.in_progress", response=begun)
    for index, item in enumerate(_output(plan, id_)):
        yield from (_message if item["type"] == "message" else _call)(plan, index, item)
    for usage in usage_of(act, told(plan)) or [{}]:
        full = begun | {"status": _status(plan), "output": _output(plan, id_), "usage": usage or None} | _why(plan)
        yield Event({"type": f"response.{_status(plan)}", "response": full}, f"response.{_status(plan)}")


def _message(plan: Plan, index: int, item: dict[str, Any]) -> Iterator[Event]:
    where = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part, text = item["content"][0], plan.text()
    yield _event("response.output_item.added", output_index=index, item=item | {"status": "in_progress", "content": []})
    yield _event("response.content_part.added", **where, part=part | {"text": ""})
    for piece in plan.pieces:
        yield _event("response.output_text.delta", 1, **where, delta=piece.text, logprobs=[])
    yield _event("response.output_text.done", **where, text=text, logprobs=[])
    yield _event("response.content_part.done", **where, part=part)
    yield _event("response.output_item.done", output_index=index, item=item)


def _call(plan: Plan, index: int, item: dict[str, Any]) -> Iterator[Event]:
    where = {"item_id": item["id"], "output_index": index}
    begun = item | {"status": "in_progress", "arguments": ""}
    yield _event("response.output_item.added", 1, output_index=index, item=begun)
    for piece in plan.pieces:
        if piece.kind == "fragment" and piece.index == index:
            yield _event("response.function_call_arguments.delta", 1, **where, delta=piece.text)
    done = {"type": "response.function_call_arguments.done", "arguments": item["arguments"], "name": item["name"]}
    yield Event(done | where, done["type"])
    yield _event("response.output_item.done", output_index=index, item=item)


def _output(plan: Plan, id_: str) -> list[dict[str, Any]]:
    calls = [
        {
            "type": "function_call",
            "id": f"fc_{id_}_{index}",
            "call_id": f"call_{index}",
            "name": name,
            "arguments": arguments,
            "status": "completed",
        }
        for index, name, arguments in plan.calls()
    ]
    part = {"type": "output_text", "text": plan.text(), "annotations": [], "logprobs": []}
    message = {"type": "message", "id": f"item_{id_}", "role": "assistant", "status": "completed", "content": [part]}
    return calls or [message]


def _response(plan: Plan, body: Mapping[str, Any], id_: str, status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{id_}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": plan.question.model,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "usage": None,
    } | (_why(plan) if status == "incomplete" else {})


def _status(plan: Plan) -> str:
    return "incomplete" if plan.finish == "length" else "completed"


def _why(plan: Plan) -> dict[str, Any]:
    return {"incomplete_details": {"reason": "max_output_tokens"}} if plan.finish == "length" else {}


def _event(name: str, tokens: int = 0, **data: Any) -> Event:
    return Event({"type": name, **data}, name, tokens)
