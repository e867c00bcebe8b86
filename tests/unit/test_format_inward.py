"""Answers to messages and responses that became chat completions are messages and responses again."""

import json
from typing import Any

import pytest

from freehold.core.errors import Unavailable
from freehold.gateway.calls import chat_reading
from freehold.gateway.calls.messages_in import MessagesIn
from freehold.gateway.calls.responses_in import ResponsesIn
from freehold.gateway.formats import Api, Asked, Inward, Reading, Units
from tests.answers import answer, asked, data, pieces, stream, through

INWARD: dict[Api, Inward] = {Api.MESSAGES: MessagesIn(), Api.RESPONSES: ResponsesIn()}
SSE = "text/event-stream"


def reading(api: Api, body: dict[str, Any], content_type: str = SSE) -> Reading:
    outer = asked(api, {"model": "c/m", **body})
    inner: Asked = INWARD[api].request(outer)
    return INWARD[api].reading(chat_reading.reading(inner, answer(content_type)), outer)


def chunk(reason: str | None = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "chatcmpl-7", "created": 5, "model": "m-1", "choices": [choice]}


def call(index: int, arguments: str, **begun: Any) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments, **begun.pop("function", {})}, **begun}


USED = {"id": "chatcmpl-7", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}
BOTH = stream(
    chunk(role="assistant", content=""),
    chunk(content="Grü"),
    chunk(content="ße"),
    chunk(tool_calls=[call(0, "", id="call_a", function={"name": "shell"})]),
    chunk(tool_calls=[call(0, '{"command":')]),
    chunk(tool_calls=[call(0, '"true"}')]),
    chunk(tool_calls=[call(1, "{}", id="call_b", function={"name": "list"})]),
    chunk("tool_calls"),
    USED,
)
WHOLE = {
    "id": "chatcmpl-7",
    "created": 5,
    "model": "m-1",
    "choices": [
        {
            "finish_reason": "tool_calls",
            "message": {
                "content": "Grüße",
                "tool_calls": [{"id": "call_a", "function": {"name": "shell", "arguments": '{"command":"true"}'}}],
            },
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 4},
}


@pytest.mark.parametrize("sizes", [[1], [7, 30], [10_000]])
def test_a_stream_is_told_as_a_message(sizes: list[int]) -> None:
    read = reading(Api.MESSAGES, {"messages": [], "stream": True})
    told = data(through(read, *pieces(BOTH, sizes)))
    assert [event["type"] for event in told] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert (told[0]["message"]["id"], told[0]["message"]["model"]) == ("msg_7", "m-1")
    assert [event["index"] for event in told if "index" in event] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert told[5]["content_block"] == {"type": "tool_use", "id": "call_a", "name": "shell", "input": {}}
    assert told[-2]["delta"]["stop_reason"] == "tool_use"
    assert told[-2]["usage"]["output_tokens"] == 4
    assert (read.units, read.finished, read.said) == (Units(input=9, output=4), True, 27)


@pytest.mark.parametrize("sizes", [[1], [7, 30], [10_000]])
def test_a_stream_is_told_as_a_response(sizes: list[int]) -> None:
    read = reading(Api.RESPONSES, {"input": "x", "stream": True})
    told = data(through(read, *pieces(BOTH, sizes)))
    assert [event["type"].removeprefix("response.") for event in told] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    ended = told[-1]["response"]
    assert [item["type"] for item in ended["output"]] == ["message", "function_call", "function_call"]
    assert ended["output"][0]["content"][0]["text"] == "Grüße"
    assert (ended["output"][1]["call_id"], ended["output"][1]["arguments"]) == ("call_a", '{"command":"true"}')
    assert (ended["id"], ended["created_at"], ended["status"]) == ("resp_7", 5, "completed")
    assert ended["usage"]["total_tokens"] == 13
    items = {event["item"]["id"] for event in told if "item" in event}
    assert {event["item_id"] for event in told if "item_id" in event} == items
    assert (read.units, read.finished) == (Units(input=9, output=4), True)


def test_a_whole_answer_is_told_as_a_message() -> None:
    read = reading(Api.MESSAGES, {"messages": []}, "application/json")
    told = json.loads(through(read, json.dumps(WHOLE).encode()))
    assert told["content"] == [
        {"type": "text", "text": "Grüße"},
        {"type": "tool_use", "id": "call_a", "name": "shell", "input": {"command": "true"}},
    ]
    assert (told["type"], told["stop_reason"], told["usage"]["input_tokens"]) == ("message", "tool_use", 9)
    assert (read.units, read.finished) == (Units(input=9, output=4), True)


def test_a_whole_answer_is_told_as_a_response() -> None:
    read = reading(Api.RESPONSES, {"input": "x", "instructions": "Be brief."}, "application/json")
    told = json.loads(through(read, json.dumps(WHOLE).encode()))
    assert [item["type"] for item in told["output"]] == ["message", "function_call"]
    assert (told["object"], told["status"], told["instructions"]) == ("response", "completed", "Be brief.")


@pytest.mark.parametrize(
    ("reason", "stop", "status"),
    [
        ("stop", "end_turn", "completed"),
        ("length", "max_tokens", "incomplete"),
        ("content_filter", "refusal", "incomplete"),
        ("odd", "end_turn", "completed"),
    ],
)
def test_why_an_answer_ends_is_told(reason: str, stop: str, status: str) -> None:
    raw = stream(chunk(content="a"), chunk(reason), end=False)
    told = data(through(reading(Api.MESSAGES, {"messages": [], "stream": True}), raw))
    assert told[-2]["delta"]["stop_reason"] == stop
    told = data(through(reading(Api.RESPONSES, {"input": "x", "stream": True}), raw))
    assert (told[-1]["type"], told[-1]["response"]["status"]) == (f"response.{status}", status)


@pytest.mark.parametrize(("api", "body"), [(Api.MESSAGES, {"messages": []}), (Api.RESPONSES, {"input": "x"})])
def test_a_stream_that_was_cut_has_no_end(api: Api, body: dict[str, Any]) -> None:
    read = reading(api, body | {"stream": True})
    told = data(through(read, stream(chunk(content="a"), end=False)))
    assert not read.finished
    assert not {"message_stop", "response.completed"} & {event["type"] for event in told}
    assert data(read.broken("provider_cut", "It broke off."))[0]["type"] == "error"


def test_calls_that_are_mixed_up_are_told() -> None:
    mixed = stream(
        chunk(tool_calls=[call(0, "", id="a", function={"name": "f"})]),
        chunk(tool_calls=[call(1, "", id="b", function={"name": "f"})]),
        chunk(tool_calls=[call(0, "{}")]),
    )
    for api, body in ((Api.MESSAGES, {"messages": []}), (Api.RESPONSES, {"input": "x"})):
        with pytest.raises(Unavailable) as caught:
            through(reading(api, {**body, "stream": True}), mixed)
        assert caught.value.code == "provider_malformed"


def test_a_call_whose_arguments_are_no_json_is_told() -> None:
    broken = json.dumps(WHOLE).replace('{\\"command\\":\\"true\\"}', "{nonsense").encode()
    with pytest.raises(Unavailable) as caught:
        through(reading(Api.MESSAGES, {"messages": []}, "application/json"), broken)
    assert caught.value.code == "provider_malformed"


def test_an_answer_of_another_kind_than_was_asked_for_is_told_as_it_is() -> None:
    read = reading(Api.MESSAGES, {"messages": [], "stream": True}, "application/json")
    assert json.loads(through(read, json.dumps(WHOLE).encode()))["type"] == "message"
