"""Answers in OpenAI's formats pass as they came, and what they used is read."""

import json
from typing import Any

import pytest

from freehold.catalog.providers import presets
from freehold.core.errors import FreeholdError, Unavailable
from freehold.drivers.model.openai.format import OpenAi
from freehold.gateway.formats import Api, Reading, Units
from tests.answers import answer, asked, data, named, stream, through
from tests.dialling import client

SSE = "text/event-stream; charset=utf-8"
HELLO = {"messages": [{"role": "user", "content": "hello"}], "model": "quick/gpt-5"}
TEXT = {"choices": [{"index": 0, "delta": {"content": "Grüße"}, "finish_reason": None}]}
LAST: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USED = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}


def driver(kind: str = "openai") -> OpenAi:
    return OpenAi(client(), presets()[kind])


def reading(
    api: Api, body: dict[str, Any] | None = None, content_type: str = "application/json", **said: Any
) -> Reading:
    return driver().reading(asked(api, body or HELLO, **said), answer(content_type))


@pytest.mark.parametrize("sizes", [1, 7, 10_000])
def test_a_stream_passes_without_the_usage_nobody_asked_for(sizes: int) -> None:
    shown = stream(TEXT, TEXT, LAST, end=False)
    raw = shown + stream(USED)
    read = reading(Api.CHAT, HELLO | {"stream": True}, SSE)
    assert through(read, *[raw[at : at + sizes] for at in range(0, len(raw), sizes)]) == shown + b"data: [DONE]\n\n"
    assert (read.units, read.said, read.events, read.finished) == (Units(input=9, output=4), 14, 2, True)


def test_a_stream_passes_whole_to_who_asked_for_usage() -> None:
    raw = b": hi\n\n" + stream(TEXT, LAST, USED)
    assert through(reading(Api.CHAT, content_type=SSE, usage_wanted=True), raw) == raw


@pytest.mark.parametrize("raw", [stream(TEXT, LAST, end=False), stream(TEXT, LAST)[:-2], stream(LAST, end=False)[:-2]])
def test_a_stream_may_end_without_its_last_word(raw: bytes) -> None:
    read = reading(Api.CHAT, content_type=SSE)
    through(read, raw)
    assert read.finished


@pytest.mark.parametrize("raw", [b"", stream(TEXT, end=False), stream(TEXT, LAST, end=False)[:-20]])
def test_a_stream_that_was_cut_is_not_finished(raw: bytes) -> None:
    read = reading(Api.CHAT, content_type=SSE)
    through(read, raw)
    assert not read.finished


def test_arguments_and_thoughts_are_output() -> None:
    call = {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1}'}}]}}]}
    thought = {"choices": [{"delta": {"content": None, "reasoning_content": "hmm"}}]}
    odd = {"choices": [{"delta": {"content": [{"type": "text", "text": "a"}]}, "finish_reason": "stop"}]}
    read = reading(Api.CHAT, content_type=SSE)
    through(read, stream(call, thought))
    assert (read.said, read.events) == (10, 2)
    read = reading(Api.CHAT, content_type=SSE)
    assert through(read, stream(odd, end=False)) == stream(odd, end=False)
    assert read.finished
    assert read.said > 0


@pytest.mark.parametrize(
    ("api", "raw", "code"),
    [
        (Api.CHAT, stream(TEXT, {"error": {"message": "no"}}), "provider_cut"),
        (Api.CHAT, b"data: {nonsense\n\n", "provider_malformed"),
        (Api.CHAT, b"data: []\n\n", "provider_malformed"),
        (Api.RESPONSES, named({"type": "response.failed", "response": {}}), "provider_cut"),
        (Api.RESPONSES, named({"type": "error", "message": "x"}), "provider_cut"),
        (Api.RESPONSES, b"data: 7\n\n", "provider_malformed"),
    ],
)
def test_what_breaks_inside_a_stream_is_told(api: Api, raw: bytes, code: str) -> None:
    with pytest.raises(Unavailable) as caught:
        through(reading(api, content_type=SSE), raw)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (Api.CHAT, b"<html>"),
        (Api.CHAT, b"{}"),
        (Api.CHAT, b'{"choices":null}'),
        (Api.CHAT, b'{"choices":[],"error":{"message":"x"}}'),
        (Api.EMBEDDINGS, b'{"data":'),
        (Api.IMAGES, b'{"data":7}'),
        (Api.RESPONSES, b'{"output":[],"error":{"code":"x"}}'),
    ],
)
def test_a_document_that_makes_no_sense_is_told_before_its_first_byte(api: Api, body: bytes) -> None:
    read = reading(api)
    assert read.feed(body) == b""
    with pytest.raises(FreeholdError) as caught:
        read.end()
    assert caught.value.code in {"provider_malformed", "provider_cut"}


@pytest.mark.parametrize(
    ("api", "body", "units"),
    [
        (Api.CHAT, {"choices": [{}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}, Units(input=3, output=2)),
        (Api.CHAT, {"choices": [{}], "error": None}, None),
        (
            Api.RESPONSES,
            {"output": [], "error": None, "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}},
            Units(input=3, output=2),
        ),
        (Api.EMBEDDINGS, {"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}, Units(input=8)),
        (Api.IMAGES, {"data": [{"b64_json": "x"}, {"b64_json": "y"}]}, Units(images=2)),
        (
            Api.IMAGES,
            {"data": [{}], "usage": {"input_tokens": 5, "output_tokens": 1_000, "total_tokens": 1_005}},
            Units(images=1, input=5, output=1_000),
        ),
        (Api.TRANSCRIPTION, {"text": "a", "usage": {"type": "duration", "seconds": 61}}, Units(seconds=61)),
        (Api.TRANSCRIPTION, {"text": "a", "duration": 3.2}, Units(seconds=4)),
        (Api.TRANSCRIPTION, {"text": "a", "duration": "8.47"}, Units(seconds=9)),
        (
            Api.TRANSCRIPTION,
            {"text": "a", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}},
            Units(input=14, output=45),
        ),
        (Api.TRANSCRIPTION, {"text": "a"}, None),
    ],
)
def test_a_document_passes_and_its_usage_is_read(api: Api, body: dict[str, Any], units: Units | None) -> None:
    raw = json.dumps(body, indent=1).encode()
    read = reading(api)
    assert through(read, raw[:5], raw[5:]) == raw
    assert (read.units, read.finished) == (units, True)


def test_what_a_document_says_is_counted_where_its_provider_did_not() -> None:
    message = {"content": "Grüße", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    read = reading(Api.CHAT)
    through(read, json.dumps({"choices": [{"message": message}]}).encode())
    assert read.said > len("Grüße{}")


RESPONSE = named(
    {"type": "response.created", "response": {"id": "resp_1", "usage": None}},
    {"type": "response.output_text.delta", "delta": "Hel"},
    {"type": "response.function_call_arguments.delta", "delta": "{}"},
    {
        "type": "response.completed",
        "response": {"id": "resp_1", "usage": {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11}},
    },
)


def test_a_streamed_response_passes_and_is_counted() -> None:
    read = reading(Api.RESPONSES, content_type=SSE)
    assert through(read, RESPONSE[:50], RESPONSE[50:]) == RESPONSE
    assert (read.units, read.said, read.events, read.finished) == (Units(input=5, output=6), 5, 2, True)


def test_speech_is_counted_by_what_is_asked_to_be_spoken() -> None:
    read = reading(Api.SPEECH, {"model": "m", "input": "Grüße!"}, "audio/mpeg")
    assert (read.feed(b"\x00\x01"), read.feed(b"\xff"), read.end()) == (b"\x00\x01", b"\xff", b"")
    assert (read.units, read.finished) == (Units(characters=6), True)


def test_streamed_speech_and_pictures_and_transcripts_tell_their_usage() -> None:
    told = {"usage": {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11}}
    for api, kind, more in (
        (Api.SPEECH, "speech.audio.done", {"characters": 5}),
        (Api.IMAGES, "image_generation.completed", {"images": 1}),
        (Api.TRANSCRIPTION, "transcript.text.done", {}),
    ):
        read = reading(api, {"model": "m", "input": "hello"}, SSE)
        through(read, named({"type": kind, **told}))
        assert (read.units, read.finished) == (Units(input=5, output=6, **more), True)


def test_a_transcript_in_plain_text_passes() -> None:
    read = reading(Api.TRANSCRIPTION, content_type="text/plain")
    assert through(read, b"1\n00:00") == b"1\n00:00"
    assert read.units is None


@pytest.mark.parametrize("api", [Api.CHAT, Api.RESPONSES])
def test_a_caller_in_the_middle_of_a_stream_is_told_that_it_is_over(api: Api) -> None:
    told = data(reading(api, content_type=SSE).broken("budget_exhausted", "No money."))[0]
    assert "budget_exhausted" in json.dumps(told)
    assert reading(api).broken("x", "y") == b""
