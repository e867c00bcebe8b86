"""Gemini's own format."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.events import Event
from freehold.testing.upstream.ledger import Entry
from freehold.testing.upstream.openai_other import MODELS, vector_of
from freehold.testing.upstream.plans import Piece, Plan, Question, Tool, tokens, usage_of

FINISH: Final = {"stop": "STOP", "length": "MAX_TOKENS", "calls": "STOP"}


def question(body: Mapping[str, Any], model: str, *, stream: bool) -> Question:
    """Return what is asked."""
    contents, config = body.get("contents", ()), body.get("generationConfig") or {}
    said = [body.get("systemInstruction") or {}, *contents]
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    allowed = calling.get("allowedFunctionNames") or ["*"]
    return Question(
        model=model,
        text="\n".join(_texts(said)),
        stream=stream,
        limit=config.get("maxOutputTokens"),
        choices=int(config.get("candidateCount") or 1),
        tools=[
            Tool(name=each["name"], schema=each.get("parameters") or each.get("parametersJsonSchema") or {})
            for tool in body.get("tools") or ()
            for each in tool.get("functionDeclarations", ())
        ],
        forced=allowed[0] if calling.get("mode") == "ANY" else "",
        answered=bool(contents) and any("functionResponse" in part for part in contents[-1].get("parts", ())),
        schema=config.get("responseJsonSchema") or config.get("responseSchema"),
        thinking=bool((config.get("thinkingConfig") or {}).get("includeThoughts")),
    )


def whole(plan: Plan, act: Act, id_: str) -> dict[str, Any]:
    """Return a plain answer."""
    candidates = [
        {
            "index": choice,
            "content": {"role": "model", "parts": _parts(plan, choice)},
            "finishReason": FINISH[plan.finish],
        }
        for choice in range(plan.question.choices)
    ]
    said = usage_of(act, _told(plan, len(plan.pieces)))
    return _head(plan, id_) | {"candidates": candidates} | ({"usageMetadata": said[-1]} if said else {})


def stream(plan: Plan, act: Act, id_: str) -> Iterator[Event]:
    """Return the events of a stream; each carries the usage so far."""
    held = 0
    for number, piece in enumerate(plan.pieces, start=1):
        held += 1
        part = _part(plan, piece)
        if part is None:
            continue
        yield _event(plan, act, id_, piece.choice, [part], number, held)
        held = 0
    for choice in range(plan.question.choices):
        yield _event(plan, act, id_, choice, [], len(plan.pieces), held, FINISH[plan.finish])
        held = 0


def embedded(body: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """Return a vector for each text, or for the one there is."""
    asked = body.get("requests")
    each = [" ".join(_texts([one.get("content", {})])) for one in (asked if asked is not None else [body])]
    entry.input = sum(tokens(text) for text in each)
    vectors = [{"values": vector_of(text)} for text in each]
    return {"embedding": vectors[0]} if asked is None else {"embeddings": vectors}


def models() -> dict[str, Any]:
    """Return the models there are."""
    methods = ["generateContent", "embedContent"]
    return {"models": [{"name": f"models/{name}", "supportedGenerationMethods": methods} for name in MODELS]}


def _texts(contents: Any) -> Iterator[str]:
    for content in contents:
        for part in content.get("parts", ()):
            if isinstance(part.get("text"), str):
                yield part["text"]


def _parts(plan: Plan, choice: int) -> list[dict[str, Any]]:
    thought, text = plan.text("thinking", choice), plan.text(choice=choice)
    parts: list[dict[str, Any]] = [{"text": thought, "thought": True}] if thought else []
    parts += [{"text": text}] if text else []
    return parts + [_calling(name, arguments) for _, name, arguments in plan.calls(choice)]


def _part(plan: Plan, piece: Piece) -> dict[str, Any] | None:
    """Return what a piece shows; a call is shown whole, with its last fragment."""
    if piece.kind in ("text", "thinking"):
        return {"text": piece.text} | ({"thought": True} if piece.kind == "thinking" else {})
    mine = [
        p for p in plan.pieces if (p.choice, p.index) == (piece.choice, piece.index) and p.kind in ("call", "fragment")
    ]
    if piece is not mine[-1]:
        return None
    return next(_calling(name, args) for n, name, args in plan.calls(piece.choice) if n == piece.index)


def _calling(name: str, arguments: str) -> dict[str, Any]:
    given = msgspec.json.decode(arguments) if arguments.endswith("}") else {}
    return {"functionCall": {"name": name, "args": given}}


def _event(
    plan: Plan, act: Act, id_: str, choice: int, parts: list[dict[str, Any]], so_far: int, new: int, finish: str = ""
) -> Event:
    candidate: dict[str, Any] = {"index": choice, "content": {"role": "model", "parts": parts}}
    said = usage_of(act, _told(plan, so_far))
    data = _head(plan, id_) | {"candidates": [candidate | ({"finishReason": finish} if finish else {})]}
    return Event(data | ({"usageMetadata": said[-1]} if said else {}), tokens=new)


def _head(plan: Plan, id_: str) -> dict[str, Any]:
    return {"modelVersion": plan.question.model, "responseId": id_}


def _told(plan: Plan, output: int) -> dict[str, Any]:
    seen = min(output, plan.thoughts)
    hidden, shown = plan.hidden + seen, output - seen
    return {
        "promptTokenCount": plan.tokens_in,
        "cachedContentTokenCount": plan.cached,
        "candidatesTokenCount": shown,
        "thoughtsTokenCount": hidden,
        "totalTokenCount": plan.tokens_in + shown + hidden,
    }
