"""Messages, as Anthropic has them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.events import Event
from freehold.testing.upstream.openai_chat import texts
from freehold.testing.upstream.plans import Piece, Plan, Question, Tool, usage_of

FINISH: Final = {"stop": "end_turn", "length": "max_tokens", "calls": "tool_use"}
SIGNATURE: Final = "c2NyaXB0ZWQ="


def question(body: Mapping[str, Any]) -> Question:
    """Return what is asked."""
    messages, choice = body.get("messages", ()), body.get("tool_choice") or {}
    said = [body.get("system"), *(message.get("content") for message in messages)]
    last = messages[-1].get("content") if messages else None
    wanted = ((body.get("output_config") or {}).get("format") or body.get("output_format") or {}).get("schema")
    return Question(
        model=str(body.get("model", "")),
        text="\n".join(text for each in said for text in texts(each)),
        stream=bool(body.get("stream")),
        limit=body.get("max_tokens"),
        tools=[Tool(name=tool["name"], schema=tool.get("input_schema", {})) for tool in body.get("tools") or ()],
        forced={"any": "*", "tool": choice.get("name", "")}.get(choice.get("type", ""), ""),
        answered=isinstance(last, list) and any(part.get("type") == "tool_result" for part in last),
        schema=wanted,
        thinking=(body.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
    )


def whole(plan: Plan, act: Act, id_: str) -> dict[str, Any]:
    """Return a plain answer."""
    content: list[dict[str, Any]] = []
    for block, pieces in _blocks(plan):
        text = "".join(piece.text for piece in pieces)
        content.append(_full(block, text))
    said = usage_of(act, _told(plan, plan.output))
    message = _message(plan, id_) | {"content": content, "stop_reason": FINISH[plan.finish]}
    return message | ({"usage": said[-1]} if said else {})


def stream(plan: Plan, act: Act, id_: str) -> Iterator[Event]:
    """Return the events of a stream."""
    first = usage_of(act, _told(plan, 1))
    start = _message(plan, id_) | ({"usage": first[-1]} if first else {})
    yield _event("message_start", message=start)
    yield _event("ping")
    for index, (block, pieces) in enumerate(_blocks(plan)):
        begun = _full(block, "")
        tokens = 1 if block.kind == "call" else 0
        yield _event("content_block_start", tokens, index=index, content_block=begun)
        for piece in pieces:
            yield _event("content_block_delta", 1, index=index, delta=_delta(block, piece.text))
        if block.kind == "thinking":
            signed = {"type": "signature_delta", "signature": SIGNATURE}
            yield _event("content_block_delta", index=index, delta=signed)
        yield _event("content_block_stop", index=index)
    delta = {"stop_reason": FINISH[plan.finish], "stop_sequence": None}
    said = usage_of(act, {"output_tokens": plan.output})
    for usage in said or [{}]:
        told = {"type": "message_delta", "delta": delta} | ({"usage": usage} if usage else {})
        yield Event(told, "message_delta")
    yield Event({"type": "message_stop"}, "message_stop", last=True)


def _blocks(plan: Plan) -> Iterator[tuple[Piece, list[Piece]]]:
    """Gather neighbouring pieces into blocks: what each begins with, and its text."""
    head: Piece | None = None
    held: list[Piece] = []
    for piece in plan.pieces:
        fits = head is not None and (
            piece.kind == head.kind != "call" or (piece.kind, head.kind) == ("fragment", "call")
        )
        if not fits:
            if head is not None:
                yield head, held
            head, held = piece, []
        if piece.kind != "call":
            held.append(piece)
    if head is not None:
        yield head, held


def _full(block: Piece, text: str) -> dict[str, Any]:
    if block.kind == "call":
        arguments = msgspec.json.decode(text) if text.endswith("}") else {}
        return {"type": "tool_use", "id": f"toolu_{block.index}", "name": block.text, "input": arguments}
    if block.kind == "thinking":
        return {"type": "thinking", "thinking": text, "signature": SIGNATURE if text else ""}
    return {"type": "text", "text": text}


def _delta(block: Piece, text: str) -> dict[str, Any]:
    if block.kind == "call":
        return {"type": "input_json_delta", "partial_json": text}
    if block.kind == "thinking":
        return {"type": "thinking_delta", "thinking": text}
    return {"type": "text_delta", "text": text}


def _message(plan: Plan, id_: str) -> dict[str, Any]:
    return {
        "id": f"msg_{id_}",
        "type": "message",
        "role": "assistant",
        "model": plan.question.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _told(plan: Plan, output: int) -> dict[str, Any]:
    return {
        "input_tokens": plan.tokens_in - plan.cached - plan.written,
        "cache_read_input_tokens": plan.cached,
        "cache_creation_input_tokens": plan.written,
        "output_tokens": output,
    }


def _event(name: str, tokens: int = 0, **data: Any) -> Event:
    return Event({"type": name, **data}, name, tokens)
