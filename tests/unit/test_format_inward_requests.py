"""Messages and responses become chat completions, for providers that take nothing else."""

import json
from typing import Any

import pytest

from freehold.core.errors import Invalid
from freehold.gateway.calls.messages_in import MessagesIn
from freehold.gateway.calls.responses_in import ResponsesIn
from freehold.gateway.formats import Api, Inward
from tests.answers import asked

INWARD: dict[Api, Inward] = {Api.MESSAGES: MessagesIn(), Api.RESPONSES: ResponsesIn()}
SCHEMA = {"type": "object"}


def chat(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    made = INWARD[api].request(asked(api, {"model": "c/m", **body}))
    assert made.api is Api.CHAT
    told: dict[str, Any] = json.loads(made.body)
    return told


def test_a_message_becomes_a_chat_completion() -> None:
    made = chat(
        Api.MESSAGES,
        {
            "max_tokens": 50,
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": "What is this?"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hmm", "signature": "s"},
                        {"type": "text", "text": "Let me see."},
                        {"type": "tool_use", "id": "toolu_1", "name": "shell", "input": {"command": "true"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "toolu_1",
                            "content": [
                                {"type": "text", "text": "done"},
                                {
                                    "type": "image",
                                    "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
                                },
                            ],
                        },
                        {"type": "text", "text": "And now?"},
                    ],
                },
            ],
            "tools": [{"name": "shell", "description": "Runs", "input_schema": SCHEMA}],
            "tool_choice": {"type": "tool", "name": "shell", "disable_parallel_tool_use": True},
            "stop_sequences": ["END"],
            "temperature": 0.5,
            "top_k": 3,
            "thinking": {"type": "enabled", "budget_tokens": 1_024},
            "metadata": {"user_id": "me"},
            "stream": True,
        },
    )
    assert made == {
        "model": "c/m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is this?"},
            {
                "role": "assistant",
                "content": "Let me see.",
                "tool_calls": [
                    {
                        "id": "toolu_1",
                        "type": "function",
                        "function": {"name": "shell", "arguments": '{"command":"true"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "toolu_1", "content": "done"},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
        "max_completion_tokens": 50,
        "tools": [{"type": "function", "function": {"name": "shell", "parameters": SCHEMA, "description": "Runs"}}],
        "tool_choice": {"type": "function", "function": {"name": "shell"}},
        "parallel_tool_calls": False,
        "stop": ["END"],
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_response_becomes_a_chat_completion() -> None:
    made = chat(
        Api.RESPONSES,
        {
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": "data:x"}]},
                {"type": "reasoning", "summary": []},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
                {"type": "function_call", "call_id": "call_a", "name": "shell", "arguments": "{}"},
                {"type": "function_call", "call_id": "call_b", "name": "list", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_a", "output": "done"},
                {"type": "function_call_output", "call_id": "call_b", "output": [{"type": "input_text", "text": "none"}]},
                {"role": "developer", "content": "Go on."},
            ],
            "tools": [{"type": "function", "name": "shell", "parameters": SCHEMA, "strict": True}],
            "tool_choice": {"type": "function", "name": "shell"},
            "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}},
            "reasoning": {"effort": "low", "summary": "auto"},
            "max_output_tokens": 50,
            "store": False,
            "previous_response_id": None,
            "background": False,
        },
    )  # fmt: skip
    assert made == {
        "model": "c/m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What?"},
                    {"type": "image_url", "image_url": {"url": "data:x"}},
                ],
            },
            {
                "role": "assistant",
                "content": "Let me see.",
                "tool_calls": [
                    {"id": "call_a", "type": "function", "function": {"name": "shell", "arguments": "{}"}},
                    {"id": "call_b", "type": "function", "function": {"name": "list", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_a", "content": "done"},
            {"role": "tool", "tool_call_id": "call_b", "content": "none"},
            {"role": "system", "content": "Go on."},
        ],
        "max_completion_tokens": 50,
        "tools": [{"type": "function", "function": {"name": "shell", "parameters": SCHEMA, "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "shell"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}},
        "reasoning_effort": "low",
    }


@pytest.mark.parametrize(
    ("api", "body", "name"),
    [
        (Api.MESSAGES, {"messages": [], "mcp_servers": [{}]}, "mcp_servers"),
        (Api.MESSAGES, {"messages": [], "never_heard_of": 1}, "never_heard_of"),
        (Api.MESSAGES, {"messages": [], "tools": [{"type": "web_search_20250305"}]}, "tools.web_search_20250305"),
        (Api.MESSAGES, {"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}, "messages.content.search_result"),
        (Api.RESPONSES, {"input": "x", "previous_response_id": "resp_1"}, "previous_response_id"),
        (Api.RESPONSES, {"input": "x", "conversation": "c"}, "conversation"),
        (Api.RESPONSES, {"input": "x", "background": True}, "background"),
        (Api.RESPONSES, {"input": "x", "tools": [{"type": "web_search"}]}, "tools.web_search"),
        (Api.RESPONSES, {"input": [{"type": "item_reference", "id": "x"}]}, "input.item_reference"),
        (Api.RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input.content.input_file"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_by_name(api: Api, body: dict[str, Any], name: str) -> None:
    with pytest.raises(Invalid) as caught:
        chat(api, body)
    assert (caught.value.code, caught.value.facts["param"]) == ("not_supported", name)


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (Api.MESSAGES, {}),
        (Api.MESSAGES, {"messages": [7]}),
        (Api.MESSAGES, {"messages": [{"role": "god", "content": "x"}]}),
        (Api.MESSAGES, {"messages": [], "tool_choice": 7}),
        (Api.RESPONSES, {}),
        (Api.RESPONSES, {"input": [7]}),
        (Api.RESPONSES, {"input": [{"role": "god", "content": "x"}]}),
    ],
)
def test_what_is_no_request_is_wrong(api: Api, body: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        chat(api, body)
    assert caught.value.code == "bad_request"
