"""Whatever a provider sends, a reading passes it on, tells what is wrong with it, and counts no nonsense."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.catalog.providers import presets
from freehold.core.errors import Invalid, Unavailable
from freehold.drivers.model.anthropic.format import Anthropic
from freehold.drivers.model.gemini.format import Gemini
from freehold.drivers.model.openai.format import OpenAi
from freehold.gateway.calls import counting
from freehold.gateway.calls.inward import inward
from freehold.gateway.formats import Api, Asked, ModelDriver, Reading, Units
from tests.answers import KEY, answer
from tests.dialling import client

DRIVERS: dict[str, ModelDriver] = {
    "openai": OpenAi(client(), presets()["openai"]),
    "deepseek": OpenAi(client(), presets()["deepseek"]),
    "anthropic": Anthropic(client(), presets()["anthropic"]),
    "gemini": Gemini(client(), presets()["gemini"]),
}
WAYS = [
    (name, api)
    for name, driver in DRIVERS.items()
    for api in (Api.CHAT, Api.MESSAGES, Api.RESPONSES, Api.EMBEDDINGS, Api.IMAGES, Api.TRANSCRIPTION, Api.SPEECH)
    if api in driver.native | driver.adapted or api in {Api.MESSAGES, Api.RESPONSES}
]
BODIES: dict[Api, dict[str, Any]] = {
    Api.MESSAGES: {"messages": [], "max_tokens": 5},
    Api.RESPONSES: {"input": "x"},
    Api.EMBEDDINGS: {"input": "x"},
    Api.SPEECH: {"input": "x"},
}
ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**12) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["text", "type", "id"]), inner, max_size=2)
    ),
    max_leaves=4,
)
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USED = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 3}}
SPENT = {"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 1}
COUNTED = {"promptTokenCount": 9, "candidatesTokenCount": 4, "cachedContentTokenCount": 3, "thoughtsTokenCount": 1}
TOLD: list[Any] = [
    {"choices": [{"delta": {"content": "a", "tool_calls": [CALL]}, "finish_reason": "stop"}], "usage": USED},
    {
        "id": "1",
        "model": "m",
        "choices": [{"message": {"content": "a", "tool_calls": [CALL]}, "finish_reason": "stop"}],
    },
    {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": SPENT}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "f"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": SPENT},
    {"type": "message_stop"},
    {"content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}], "stop_reason": "end_turn", "usage": SPENT},
    {"type": "response.output_text.delta", "delta": "a"},
    {"type": "response.completed", "response": {"id": "r", "output": [], "usage": SPENT}},
    {"output": [{"type": "message"}], "usage": SPENT},
    {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}], "usageMetadata": COUNTED},
    {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]}}], "responseId": "r"},
    {"data": [{"embedding": [0.5]}], "usage": USED},
    {"embeddings": [{"values": [0.5, 1]}], "usageMetadata": COUNTED},
    {"text": "a", "duration": 3.5, "usage": {"type": "duration", "seconds": 4}},
]
PART = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
WISHES: list[Any] = [
    {
        "messages": [
            {"role": "system", "content": "a"},
            {"role": "user", "content": PART},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c", "content": "a"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
    },
    {"messages": [], "temperature": 1, "max_tokens": 9, "stop": "a", "n": 1, "stream": True, "stream_options": {}},
    {"messages": [], "max_completion_tokens": 9, "reasoning_effort": "low", "top_p": 1, "parallel_tool_calls": False},
    {
        "system": [{"type": "text", "text": "a"}],
        "messages": [
            {"role": "user", "content": [PICTURE, {"type": "tool_result", "tool_use_id": "t", "content": [PICTURE]}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        ],
        "tools": [{"name": "f", "input_schema": {}}],
        "tool_choice": {"type": "tool", "name": "f"},
        "output_config": {"format": {"type": "json_schema", "schema": {}}},
    },
    {
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "a"}]},
        ],
        "tools": [{"type": "function", "name": "f"}],
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {}}},
        "reasoning": {"effort": "low"},
    },
    {"input": ["a"], "dimensions": 3, "encoding_format": "base64"},
]


def places(told: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every part of a document."""
    inner = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    return [at, *(place for name, one in inner for place in places(one, (*at, name)))]


def put(told: Any, place: tuple[Any, ...], odd: Any) -> Any:
    """Return a document with something else at a place."""
    if not place:
        return odd
    if isinstance(told, dict):
        return {name: put(one, place[1:], odd) if name == place[0] else one for name, one in told.items()}
    return [put(one, place[1:], odd) if at == place[0] else one for at, one in enumerate(told)]


def odd(documents: list[Any]) -> st.SearchStrategy[Any]:
    """Return documents that are as they should be but for one part."""
    every = [(told, place) for told in documents for place in places(told)]
    return st.builds(lambda one, other: put(one[0], one[1], other), st.sampled_from(every), ODD) | st.sampled_from(
        documents
    )


def reading(name: str, api: Api, content_type: str, *, stream: bool) -> Reading:
    driver = DRIVERS[name]
    body = {"model": "m", "stream": stream, **BODIES.get(api, {"messages": []})}
    asked = Asked(api=api, model="m", body=json.dumps(body).encode(), stream=stream)
    adapter = inward(asked, driver)
    if adapter is None:
        return driver.reading(asked, answer(content_type))
    return adapter.reading(driver.reading(adapter.request(asked), answer(content_type)), asked)


def sensible(units: Units | None) -> bool:
    return units is None or (
        0 <= units.cached + units.written <= units.input <= 2 * counting.MOST
        and 0 <= units.output <= 2 * counting.MOST
        and min(units.images, units.seconds, units.characters, units.requests) >= 0
    )


def tried(read: Reading, pieces: list[bytes]) -> None:
    try:
        for piece in pieces:
            read.feed(piece)
        read.end()
    except Unavailable as error:
        if error.code not in {"provider_malformed", "provider_cut"}:
            raise
    assert sensible(read.units)


@pytest.mark.parametrize(("name", "api"), WAYS)
@settings(max_examples=25)
@given(told=st.lists(odd(TOLD), max_size=4), cut=st.integers(1, 200))
def test_any_stream_is_passed_on_or_told_to_be_wrong(name: str, api: Api, told: list[Any], cut: int) -> None:
    raw = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in told)
    pieces = [raw[at : at + cut] for at in range(0, len(raw), cut)]
    tried(reading(name, api, "text/event-stream", stream=True), pieces)


@pytest.mark.parametrize(("name", "api"), WAYS)
@settings(max_examples=25)
@given(told=odd(TOLD))
def test_any_document_is_passed_on_or_told_to_be_wrong(name: str, api: Api, told: Any) -> None:
    tried(reading(name, api, "application/json", stream=False), [json.dumps(told).encode()])


@given(way=st.sampled_from(WAYS), raw=st.binary(max_size=60))
def test_any_bytes_are_passed_on_or_told_to_be_wrong(way: tuple[str, Api], raw: bytes) -> None:
    tried(reading(*way, "text/event-stream", stream=True), [b"data: " + raw + b"\n\n"])
    tried(reading(*way, "application/json", stream=False), [raw])


@pytest.mark.parametrize(("name", "api"), [way for way in WAYS if way[1] is not Api.TRANSCRIPTION])
@settings(max_examples=25)
@given(told=odd(WISHES))
def test_any_request_is_spelt_or_refused(name: str, api: Api, told: Any) -> None:
    driver = DRIVERS[name]
    asked = Asked(api=api, model="m", body=json.dumps(told).encode())
    try:
        adapter = inward(asked, driver)
        sent = driver.request(adapter.request(asked) if adapter else asked, model="m", config={}, credential=KEY)
    except Invalid:
        return
    assert isinstance(json.loads(sent.body), dict)


def test_every_way_is_tried() -> None:
    assert len(WAYS) > 15
    factories: list[Callable[..., object]] = [OpenAi, Anthropic, Gemini]
    assert {type(driver) for driver in DRIVERS.values()} == set(factories)
