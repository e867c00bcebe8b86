"""OpenAI's formats pass as they came, and what they use is read."""

import json
from typing import Any

import pytest

from freehold.catalog.providers import presets
from freehold.core.errors import FreeholdError, Invalid, Unavailable
from freehold.drivers.model.openai.format import OpenAi
from freehold.gateway.calls.ports import Api, Asked, Reading, Sent, Units
from freehold.gateway.calls.upstream import Upstream
from tests.answers import KEY, answer, asked, data, named, stream, through

SSE = "text/event-stream; charset=utf-8"
HELLO = {"messages": [{"role": "user", "content": "hello"}], "model": "quick/gpt-5"}
TEXT = {"choices": [{"index": 0, "delta": {"content": "Grüße"}, "finish_reason": None}]}
LAST: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USED = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}


def driver(kind: str = "openai") -> OpenAi:
    return OpenAi(Upstream(), presets()[kind])


def request(asked: Asked, kind: str = "openai", limit: int | None = None, **config: Any) -> Sent:
    return driver(kind).request(asked, model="gpt-5", config=config, credential=KEY, limit=limit)


def reading(
    api: Api, body: dict[str, Any] | None = None, content_type: str = "application/json", **said: Any
) -> Reading:
    return driver().reading(asked(api, body or HELLO, **said), answer(content_type))


@pytest.mark.parametrize(
    ("kind", "config", "api", "url"),
    [
        ("openai", {}, Api.CHAT, "https://api.openai.com/v1/chat/completions"),
        ("openai", {"base_url": "http://10.0.0.1/v1/"}, Api.CHAT, "http://10.0.0.1/v1/chat/completions"),
        ("openai", {}, Api.RESPONSES, "https://api.openai.com/v1/responses"),
        ("openai", {}, Api.EMBEDDINGS, "https://api.openai.com/v1/embeddings"),
        ("openai", {}, Api.IMAGES, "https://api.openai.com/v1/images/generations"),
        ("openai", {}, Api.SPEECH, "https://api.openai.com/v1/audio/speech"),
        ("openai", {}, Api.MODELS, "https://api.openai.com/v1/models"),
        ("azure", {"base_url": "https://a.b/openai/v1"}, Api.CHAT, "https://a.b/openai/v1/chat/completions"),
        (
            "azure",
            {"base_url": "https://a.b", "api_version": "2024-10-21"},
            Api.CHAT,
            "https://a.b/openai/deployments/gpt-5/chat/completions?api-version=2024-10-21",
        ),
        (
            "azure",
            {"base_url": "https://a.b", "api_version": "2024-10-21"},
            Api.MODELS,
            "https://a.b/openai/models?api-version=2024-10-21",
        ),
        ("ollama", {}, Api.CHAT, "http://127.0.0.1:11434/v1/chat/completions"),
    ],
)
def test_a_request_goes_where_the_provider_has_it(kind: str, config: dict[str, Any], api: Api, url: str) -> None:
    assert request(asked(api, HELLO), kind, **config).url == url


def test_the_key_is_sent_as_the_provider_wants_it() -> None:
    assert request(asked(Api.CHAT, HELLO)).headers["authorization"] == f"Bearer {KEY.reveal()}"
    azure = request(asked(Api.CHAT, HELLO), "azure", base_url="https://a.b")
    assert azure.headers["api-key"] == KEY.reveal()
    assert "authorization" not in azure.headers


def test_only_the_models_name_changes_in_a_body() -> None:
    body = b'{ "model" : "quick/gpt-5", "new_thing": {"n": 1e400}, "seed":12345678901234567890 }'
    sent = request(Asked(api=Api.CHAT, model="quick/gpt-5", body=body))
    assert sent.body == body.replace(b"quick/gpt-5", b"gpt-5")


@pytest.mark.parametrize(
    ("kind", "wanted", "options"),
    [("openai", False, {"include_usage": True}), ("openai", True, None), ("mistral", False, None)],
)
def test_a_stream_is_asked_for_its_usage_where_that_is_needed(kind: str, wanted: bool, options: object) -> None:  # noqa: FBT001
    sent = request(asked(Api.CHAT, HELLO | {"stream": True}, usage_wanted=wanted), kind)
    assert json.loads(sent.body).get("stream_options") == options


def test_other_wishes_about_a_stream_stay() -> None:
    body = HELLO | {"stream": True, "stream_options": {"include_usage": False, "include_obfuscation": False}}
    told = json.loads(request(asked(Api.CHAT, body)).body)["stream_options"]
    assert told == {"include_usage": True, "include_obfuscation": False}


@pytest.mark.parametrize(
    ("api", "kind", "body", "expected"),
    [
        (Api.CHAT, "openai", {}, {"max_completion_tokens": 7}),
        (Api.CHAT, "deepseek", {}, {"max_tokens": 7}),
        (Api.CHAT, "openai", {"max_tokens": 900}, {"max_tokens": 7}),
        (
            Api.CHAT,
            "openai",
            {"max_tokens": 900, "max_completion_tokens": 9},
            {"max_tokens": 7, "max_completion_tokens": 7},
        ),
        (Api.CHAT, "mistral", {"max_completion_tokens": 900}, {"max_tokens": 7}),
        (Api.RESPONSES, "openai", {"max_output_tokens": 900}, {"max_output_tokens": 7}),
        (Api.EMBEDDINGS, "openai", {}, {}),
    ],
)
def test_a_limit_replaces_the_callers(api: Api, kind: str, body: dict[str, Any], expected: dict[str, int]) -> None:
    told = json.loads(request(asked(api, HELLO | body), kind, limit=7).body)
    assert {name: value for name, value in told.items() if name.startswith("max_")} == expected


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("mistral", {"max_completion_tokens": 9}, {"max_tokens": 9}),
        ("mistral", {"max_completion_tokens": 9, "max_tokens": 8}, {"max_completion_tokens": 9, "max_tokens": 8}),
        ("openai", {"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
        ("openai", {"max_tokens": 9}, {"max_tokens": 9}),
    ],
)
def test_a_limit_is_told_by_the_name_its_provider_knows(
    kind: str, body: dict[str, int], expected: dict[str, int]
) -> None:
    told = json.loads(request(asked(Api.CHAT, HELLO | body), kind).body)
    assert {name: value for name, value in told.items() if name.startswith("max_")} == expected


def test_what_a_provider_does_not_offer_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        request(asked(Api.RESPONSES, HELLO), "deepseek")
    assert caught.value.code == "not_supported"


def test_an_answer_in_the_background_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        request(asked(Api.RESPONSES, HELLO | {"background": True}))
    assert (caught.value.code, caught.value.facts) == ("not_supported", {"param": "background"})


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


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("openai", {"base_url": "ftp://x"}),
        ("openai", {"base_url": "https://u:p@x/v1"}),
        ("openai", {"base_url": 7}),
        ("openai", {"api_version": "1"}),
        ("openai", {"region": 7}),
        ("openai", {"price": {"*": {"input": -1}}}),
        ("openai", {"price": {"*": {"inputs": 1}}}),
        ("openai", {"price": 7}),
        ("azure", {}),
    ],
)
def test_a_connection_that_could_never_work_is_refused(kind: str, config: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        driver(kind).check_config(config)
    assert caught.value.code == ("invalid_price" if "price" in config else "bad_config")


def test_a_connection_says_where_it_leads_and_what_it_costs() -> None:
    driver().check_config(
        {"base_url": "http://box:8000/v1", "region": "eu", "price": {"*": {"input": 0.1, "written": 1}}}
    )
    driver().check_config({})
    driver("azure").check_config({"base_url": "https://a.b", "api_version": "2024-10-21"})
