"""A chat completion becomes a request for content, and content a chat completion again; so do embeddings."""

import base64
import json
import struct
from typing import Any

import pytest

from freehold.catalog.providers import presets
from freehold.core.errors import Invalid, Unavailable
from freehold.drivers.model.gemini.asking import NO_SIGNATURE
from freehold.drivers.model.gemini.format import Gemini
from freehold.gateway.formats import Api, Asked, Reading, Sent, Units
from tests.answers import KEY, answer, asked, data, pieces, stream, through
from tests.dialling import client

SSE = "text/event-stream"
DRIVER = Gemini(client(), presets()["gemini"])
BASE = "https://generativelanguage.googleapis.com/v1beta"
SCHEMA = {"type": "object"}
SHELL = {"type": "function", "function": {"name": "shell", "description": "Runs", "parameters": SCHEMA}}


def request(asked: Asked, limit: int | None = None, model: str = "gemini-2.5-flash") -> Sent:
    return DRIVER.request(asked, model=model, config={}, credential=KEY, limit=limit)


def content(limit: int | None = None, model: str = "gemini-2.5-flash", **body: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(request(asked(Api.CHAT, {"model": "g/x", **body}), limit, model).body)
    return made


def reading(content_type: str = SSE, api: Api = Api.CHAT, body: dict[str, Any] | None = None, **said: Any) -> Reading:
    told = {"model": "g/x", "stream": content_type == SSE, **(body or {})}
    return DRIVER.reading(asked(api, told, **said), answer(content_type))


@pytest.mark.parametrize(
    ("api", "stream", "url", "method"),
    [
        (Api.CHAT, False, f"{BASE}/models/gemini-2.5-flash:generateContent", "POST"),
        (Api.CHAT, True, f"{BASE}/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "POST"),
        (Api.EMBEDDINGS, False, f"{BASE}/models/gemini-2.5-flash:batchEmbedContents", "POST"),
        (Api.MODELS, False, f"{BASE}/models", "GET"),
    ],
)
def test_a_request_goes_where_the_provider_has_it(api: Api, stream: bool, url: str, method: str) -> None:  # noqa: FBT001
    body = {"input": "x"} if api is Api.EMBEDDINGS else {"messages": [], "stream": stream}
    sent = request(asked(api, {"model": "x", **body}))
    assert (sent.url, sent.method) == (url, method)
    assert sent.headers["x-goog-api-key"] == KEY.reveal()


def test_a_models_name_cannot_lead_elsewhere() -> None:
    assert "/models/..%2Fother%3Fkey:generate" in request(asked(Api.CHAT, {"messages": []}), model="../other?key").url


def test_a_conversation_becomes_contents() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "shell", "arguments": '{"command":"true"}'}}
    made = content(
        messages=[
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                ],
            },
            {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "done"},
            {"role": "user", "content": "And now?"},
        ],
        tools=[SHELL],
        tool_choice={"type": "function", "function": {"name": "shell"}},
        stop=["END"],
        temperature=1.5,
        top_p=0.5,
        max_tokens=50,
        reasoning_effort="low",
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
        user="me",
    )
    assert made == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {
                "role": "user",
                "parts": [{"text": "What is this?"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "Let me see."},
                    {"functionCall": {"name": "shell", "args": {"command": "true"}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "shell", "response": {"result": "done"}}},
                    {"text": "And now?"},
                ],
            },
        ],
        "tools": [{"functionDeclarations": [{"name": "shell", "description": "Runs", "parametersJsonSchema": SCHEMA}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["shell"]}},
        "generationConfig": {
            "temperature": 1.5,
            "topP": 0.5,
            "maxOutputTokens": 50,
            "stopSequences": ["END"],
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
            "thinkingConfig": {"thinkingBudget": 1_024},
        },
    }


def test_newer_models_get_a_signature_with_each_call() -> None:
    call = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
    kept = {**call, "extra_content": {"google": {"thought_signature": "kept"}}}
    made = content(model="gemini-3-pro", messages=[{"role": "assistant", "tool_calls": [call, kept]}])
    assert [part["thoughtSignature"] for part in made["contents"][0]["parts"]] == [NO_SIGNATURE, "kept"]


def test_a_limit_replaces_the_callers() -> None:
    assert content(7, messages=[], max_tokens=900)["generationConfig"] == {"maxOutputTokens": 7}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"n": 2}, "n"),
        ({"never_heard_of": 1}, "never_heard_of"),
        ({"tools": [{"type": "web_search"}]}, "tools.web_search"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]},
            "messages.content.image_url",
        ),
        ({"messages": [{"role": "tool", "tool_call_id": "unknown", "content": "x"}]}, "messages.tool_call_id"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(body: dict[str, Any], name: str) -> None:
    with pytest.raises(Invalid) as caught:
        content(**{"messages": [], **body})
    assert (caught.value.code, caught.value.facts["param"]) == ("not_supported", name)


def piece(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    end = {"finishReason": more.pop("end")} if "end" in more else {}
    head = {"responseId": "r1", "modelVersion": "gemini-x"}
    return {**head, "candidates": [{"content": {"role": "model", "parts": list(parts)}, **end}], **more}


TOLD = [
    piece({"text": "hmm", "thought": True}),
    piece({"text": "Grü"}, usageMetadata={"promptTokenCount": 9}),
    piece({"text": "ße"}),
    piece({"functionCall": {"name": "shell", "args": {"command": "true"}}}),
    piece(end="STOP", usageMetadata={"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 2}),
]
USED = Units(input=9, output=6)


@pytest.mark.parametrize("sizes", [[1], [7, 30], [10_000]])
def test_streamed_content_is_told_as_a_chat_completion(sizes: list[int]) -> None:
    read = reading(usage_wanted=True)
    raw = through(read, *pieces(stream(*TOLD, end=False), sizes))
    told = data(raw)
    deltas = [chunk["choices"][0]["delta"] for chunk in told[:-1]]
    call = deltas[3]["tool_calls"][0]["id"]
    start = {"index": 0, "id": call, "type": "function", "function": {"name": "shell", "arguments": ""}}
    assert call.startswith("call_")
    assert deltas == [
        {"role": "assistant", "reasoning_content": "hmm"},
        {"content": "Grü"},
        {"content": "ße"},
        {"tool_calls": [start]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"command":"true"}'}}]},
        {},
    ]
    assert told[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert told[-1]["usage"]["completion_tokens"] == 6
    assert raw.endswith(b"data: [DONE]\n\n")
    assert (read.units, read.finished, read.said) == (USED, True, 28)


def test_whole_content_is_told_as_a_chat_completion() -> None:
    body = piece({"text": "a"}, {"text": "b"}, end="MAX_TOKENS", usageMetadata={"promptTokenCount": 1})
    read = reading("application/json")
    told = json.loads(through(read, json.dumps(body).encode()))
    assert told["choices"][0]["message"]["content"] == "ab"
    assert told["choices"][0]["finish_reason"] == "length"
    assert (told["id"], told["model"], read.units) == ("chatcmpl-r1", "gemini-x", Units(input=1))


def test_a_question_that_was_refused_is_an_answer_without_words() -> None:
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    read = reading("application/json")
    told = json.loads(through(read, json.dumps(body).encode()))
    assert told["choices"][0]["finish_reason"] == "content_filter"
    assert read.units == Units(input=4)


def test_a_stream_that_was_cut_is_not_finished() -> None:
    read = reading()
    raw = through(read, stream(*TOLD[:3], end=False))
    assert not read.finished
    assert b"[DONE]" not in raw
    assert read.said == 10


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'data: {"error":{"code":503}}\n\n', "provider_cut"),
        (b"data: nonsense\n\n", "provider_malformed"),
        (b"data: []\n\n", "provider_malformed"),
    ],
)
def test_what_breaks_inside_a_stream_is_told(raw: bytes, code: str) -> None:
    with pytest.raises(Unavailable) as caught:
        through(reading(), raw)
    assert caught.value.code == code


def test_a_document_without_an_answer_is_none() -> None:
    with pytest.raises(Unavailable) as caught:
        through(reading("application/json"), b"{}")
    assert caught.value.code == "provider_malformed"


def test_texts_become_requests_for_vectors() -> None:
    made = json.loads(request(asked(Api.EMBEDDINGS, {"model": "x", "input": ["a", "b"], "dimensions": 3})).body)
    assert made["requests"][1] == {
        "model": "models/gemini-2.5-flash",
        "outputDimensionality": 3,
        "content": {"parts": [{"text": "b"}]},
    }
    with pytest.raises(Invalid):
        request(asked(Api.EMBEDDINGS, {"model": "x", "input": [1, 2]}))


@pytest.mark.parametrize("packed", ["float", "base64"])
def test_vectors_are_told_as_they_were_asked_for(packed: str) -> None:
    read = reading("application/json", Api.EMBEDDINGS, {"input": "a", "encoding_format": packed})
    told = json.loads(through(read, b'{"embeddings":[{"values":[0.5,-1]}],"usageMetadata":{"promptTokenCount":3}}'))
    shown = told["data"][0]["embedding"]
    assert (list(struct.unpack("<2f", base64.b64decode(shown))) if packed == "base64" else shown) == [0.5, -1]
    assert (read.units, told["usage"]["prompt_tokens"]) == (Units(input=3), 3)


@pytest.mark.parametrize("body", [b"{}", b'{"embeddings":[{}]}', b'{"embeddings":[{"values":["x"]}]}', b"[]"])
def test_what_are_no_vectors_is_told(body: bytes) -> None:
    with pytest.raises(Unavailable) as caught:
        through(reading("application/json", Api.EMBEDDINGS, {"input": "a"}), body)
    assert caught.value.code == "provider_malformed"
