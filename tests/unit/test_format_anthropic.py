"""Messages pass as they came; a chat completion becomes one, and its answer a chat completion again."""

import json
from typing import Any

import pytest

from freehold.catalog.providers import presets
from freehold.core.errors import Invalid, Unavailable
from freehold.drivers.model.anthropic.format import Anthropic
from freehold.gateway.formats import Api, Asked, Reading, Sent, Units
from tests.answers import KEY, answer, asked, data, named, pieces, through
from tests.dialling import client

SSE = "text/event-stream"
DRIVER = Anthropic(client(), presets()["anthropic"])
SHELL = {"type": "function", "function": {"name": "shell", "description": "Runs", "parameters": {"type": "object"}}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


def request(asked: Asked, limit: int | None = None) -> Sent:
    return DRIVER.request(asked, model="claude", config={}, credential=KEY, limit=limit)


def message(limit: int | None = None, **body: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(request(asked(Api.CHAT, {"model": "c/claude", **body}), limit).body)
    return made


def reading(api: Api, content_type: str = SSE, **said: Any) -> Reading:
    body = {"model": "c/claude", "stream": content_type == SSE}
    return DRIVER.reading(asked(api, body, **said), answer(content_type))


def test_a_message_passes_and_only_its_model_changes() -> None:
    body = b'{"model":"c/claude","max_tokens":10,"messages":[],"thinking":{"type":"adaptive"},"odd":1e400}'
    sent = request(Asked(api=Api.MESSAGES, model="c/claude", body=body, headers={"anthropic-beta": "a,b"}))
    assert sent.body == body.replace(b"c/claude", b"claude")
    assert sent.url == "https://api.anthropic.com/v1/messages"
    assert sent.headers["x-api-key"] == KEY.reveal()
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert sent.headers["anthropic-beta"] == "a,b"
    assert "authorization" not in sent.headers


def test_the_callers_version_counts_and_a_limit_replaces_its_own() -> None:
    body = {"model": "m", "max_tokens": 900, "messages": []}
    sent = request(asked(Api.MESSAGES, body, headers={"anthropic-version": "2099-01-01"}), limit=7)
    assert sent.headers["anthropic-version"] == "2099-01-01"
    assert json.loads(sent.body)["max_tokens"] == 7
    counted = request(asked(Api.COUNT_TOKENS, {"model": "m", "messages": []}), limit=7)
    assert counted.url.endswith("/v1/messages/count_tokens")
    assert "max_tokens" not in json.loads(counted.body)


def test_a_conversation_becomes_turns() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "shell", "arguments": '{"command":"true"}'}}
    made = message(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}, PICTURE]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "done"},
            {"role": "user", "content": "And now?"},
        ],
        tools=[SHELL],
        tool_choice="required",
        parallel_tool_calls=False,
        stop="END",
        temperature=1.5,
        max_completion_tokens=50,
        user="me",
    )
    assert made == {
        "model": "claude",
        "max_tokens": 50,
        "system": "Be brief.",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "call_1", "name": "shell", "input": {"command": "true"}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "done"},
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
        "tools": [{"name": "shell", "description": "Runs", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "stop_sequences": ["END"],
        "temperature": 1.0,
    }


def test_a_limit_is_always_set() -> None:
    assert message(messages=[])["max_tokens"] == 4_096
    assert message(5, messages=[], max_tokens=90)["max_tokens"] == 5


def test_an_effort_is_thoughts_where_there_is_room() -> None:
    made = message(messages=[], reasoning_effort="medium", max_tokens=10_000, temperature=0)
    assert made["thinking"] == {"type": "enabled", "budget_tokens": 4_096}
    assert "temperature" not in made
    assert "thinking" not in message(messages=[], reasoning_effort="medium", max_tokens=1_000)


def test_a_schema_is_said_as_there() -> None:
    schema = {"type": "object"}
    made = message(messages=[], response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert made["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"audio": {"voice": "a"}}, "audio"),
        ({"never_heard_of": 1}, "never_heard_of"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "web_search"}]}, "tools.web_search"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages.content.input_audio"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(body: dict[str, Any], name: str) -> None:
    with pytest.raises(Invalid) as caught:
        message(**{"messages": [], **body})
    assert (caught.value.code, caught.value.facts["param"]) == ("not_supported", name)


@pytest.mark.parametrize("body", [{}, {"messages": 7}, {"messages": ["x"]}])
def test_what_is_no_conversation_is_wrong(body: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        message(**body)
    assert caught.value.code == "bad_request"


def test_embeddings_are_not_offered() -> None:
    with pytest.raises(Invalid) as caught:
        request(asked(Api.EMBEDDINGS, {"model": "m", "input": "x"}))
    assert caught.value.code == "not_supported"


STREAM = named(
    {
        "type": "message_start",
        "message": {
            "id": "msg_01",
            "model": "claude-x",
            "usage": {"input_tokens": 20, "cache_read_input_tokens": 5, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "shell", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"command":'}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '"true"}'}},
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 33}},
    {"type": "message_stop"},
)  # fmt: skip
USED = Units(input=25, cached=5, output=33)


@pytest.mark.parametrize("sizes", [[1], [7, 30], [10_000]])
def test_a_streamed_message_passes_and_is_counted(sizes: list[int]) -> None:
    read = reading(Api.MESSAGES)
    assert through(read, *pieces(STREAM, sizes)) == STREAM
    assert (read.units, read.said, read.events, read.finished) == (USED, 25, 3, True)


@pytest.mark.parametrize("sizes", [[1], [7, 30], [10_000]])
def test_a_streamed_message_is_told_as_a_chat_completion(sizes: list[int]) -> None:
    read = reading(Api.CHAT, usage_wanted=True)
    raw = through(read, *pieces(STREAM, sizes))
    told = data(raw)
    deltas = [chunk["choices"][0]["delta"] for chunk in told[:-1]]
    start = {"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "shell", "arguments": ""}}
    assert deltas == [
        {"role": "assistant", "content": "Grüße"},
        {"tool_calls": [start]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"command":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"true"}'}}]},
        {},
    ]
    assert told[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert told[-1]["usage"]["prompt_tokens"] == 25
    assert {(chunk["id"], chunk["model"]) for chunk in told} == {("chatcmpl-01", "claude-x")}
    assert raw.endswith(b"data: [DONE]\n\n")
    assert (read.units, read.finished) == (USED, True)


def test_who_did_not_ask_is_not_told_the_usage() -> None:
    assert all(chunk["choices"] for chunk in data(through(reading(Api.CHAT), STREAM)))


def test_a_whole_message_is_told_as_a_chat_completion() -> None:
    body = {
        "id": "msg_01",
        "model": "claude-x",
        "content": [
            {"type": "thinking", "thinking": "hmm", "signature": "s"},
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "toolu_1", "name": "shell", "input": {"command": "true"}},
        ],
        "stop_reason": "max_tokens",
        "usage": {"input_tokens": 20, "output_tokens": 3},
    }
    read = reading(Api.CHAT, "application/json")
    told = json.loads(through(read, json.dumps(body).encode()))
    choice = told["choices"][0]
    assert choice["finish_reason"] == "length"
    assert (choice["message"]["content"], choice["message"]["reasoning_content"]) == ("Hello", "hmm")
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "shell", "arguments": '{"command":"true"}'}
    assert told["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 3,
        "total_tokens": 23,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    assert (read.units, read.finished) == (Units(input=20, output=3), True)


def test_a_whole_message_passes() -> None:
    raw = b'{ "content": [{"type":"text","text":"hi"}], "usage": {"input_tokens": 2, "output_tokens": 1} }'
    read = reading(Api.MESSAGES, "application/json")
    assert through(read, raw) == raw
    assert read.units == Units(input=2, output=1)


@pytest.mark.parametrize("api", [Api.MESSAGES, Api.CHAT])
def test_what_breaks_inside_a_stream_is_told(api: Api) -> None:
    for raw, code in (
        (named({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}), "provider_cut"),
        (b"data: [1]\n\n", "provider_malformed"),
    ):
        with pytest.raises(Unavailable) as caught:
            through(reading(api), raw)
        assert caught.value.code == code


@pytest.mark.parametrize("api", [Api.MESSAGES, Api.CHAT])
def test_a_stream_that_was_cut_is_not_finished_but_counted(api: Api) -> None:
    read = reading(api)
    through(read, STREAM[:-150])
    assert not read.finished
    assert read.units is not None
    assert read.units.input == 25


def test_counting_tokens_costs_nothing() -> None:
    read = reading(Api.COUNT_TOKENS, "application/json")
    assert through(read, b'{"input_tokens":5}') == b'{"input_tokens":5}'
    assert read.units == Units(requests=0)


def test_a_caller_in_the_middle_of_a_stream_is_told_in_its_own_format() -> None:
    assert b"event: error" in reading(Api.MESSAGES).broken("provider_cut", "It broke off.")
    assert data(reading(Api.CHAT).broken("provider_cut", "It broke off."))[0]["error"]["code"] == "provider_cut"
