"""References to what a provider keeps: found wherever they stand, and not where names are the caller's own."""

from typing import Any

import msgspec
import pytest

from freehold.gateway.asked import Api, Asked
from freehold.gateway.calls.kept import kept


def found(api: Api, body: dict[str, Any] | bytes) -> str:
    return kept(Asked(api=api, model="m", body=body if isinstance(body, bytes) else msgspec.json.encode(body)))


def user(*content: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}]}


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (Api.RESPONSES, {"input": "on", "previous_response_id": "resp_1"}),
        (Api.RESPONSES, b'{"input": "on", "previous_response\\u005fid": "resp_1"}'),
        (Api.RESPONSES, b'{"input": "on", "Previous_Response_Id": "resp_1"}'),
        (Api.RESPONSES, b'{"previous_response_id": "resp_1", "input": "on", "previous_response_id": "resp_2"}'),
        (Api.RESPONSES, {"input": "on", "conversation": "conv_1"}),
        (Api.RESPONSES, {"input": "on", "conversation": {"id": "conv_1"}}),
        (Api.RESPONSES, {"prompt": {"id": "pmpt_1"}}),
        (Api.RESPONSES, {"input": [{"type": "item_reference", "id": "msg_1"}]}),
        (Api.RESPONSES, {"input": [{"id": "msg_1"}]}),
        (Api.RESPONSES, {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}),
        (Api.RESPONSES, {"input": [{"type": "image_generation_call", "id": "ig_1", "status": "completed"}]}),
        (Api.RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}]}),
        (Api.RESPONSES, {"input": "on", "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}),
        (Api.RESPONSES, {"input": "on", "tools": [{"type": "code_interpreter", "container": "cntr_1"}]}),
        (
            Api.RESPONSES,
            {"input": "on", "tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"]}}]},
        ),
        (Api.CHAT, user({"type": "file", "file": {"file_id": "file_1"}})),
        (Api.CHAT, {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}),
        (Api.MESSAGES, user({"type": "document", "source": {"type": "file", "file_id": "file_1"}})),
        (Api.MESSAGES, user({"type": "container_upload", "file_id": "file_1"})),
        (Api.MESSAGES, user() | {"container": "container_1"}),
        (Api.MESSAGES, user() | {"container": {"id": "container_1"}}),
        (Api.COUNT_TOKENS, user({"type": "image", "source": {"type": "file", "file_id": "file_1"}})),
    ],
)
def test_a_reference_is_found_wherever_it_stands(api: Api, body: dict[str, Any] | bytes) -> None:
    assert found(api, body)


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (Api.RESPONSES, {"input": "What is a file_id, a container or a conversation?"}),
        (Api.RESPONSES, {"input": "on", "previous_response_id": None, "conversation": None, "prompt": None}),
        (Api.RESPONSES, {"input": "on", "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
        (Api.RESPONSES, {"input": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}]}),
        (
            Api.RESPONSES,
            {"input": [{"type": "message", "id": "msg_1", "role": "assistant", "content": [{"text": "a"}]}]},
        ),
        (
            Api.RESPONSES,
            {"input": [{"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}]},
        ),
        (
            Api.CHAT,
            user({"type": "text", "text": '{"file_id": "file_1"}'}) | {"audio": {"voice": "a", "format": "wav"}},
        ),
        (
            Api.CHAT,
            user() | {"tools": [{"function": {"name": "f", "parameters": {"properties": {"file_id": {"type": "x"}}}}}]},
        ),
        (
            Api.MESSAGES,
            {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": {"file_id": "mine"}}]}]},
        ),
        (Api.IMAGES, {"prompt": "a container"}),
        (Api.EMBEDDINGS, {"input": ["conversation"]}),
    ],
)
def test_what_a_caller_says_itself_is_no_reference(api: Api, body: dict[str, Any]) -> None:
    assert found(api, body) == ""
