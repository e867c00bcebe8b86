"""What MCP servers say, cut at every byte, and what it means here."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from freehold.core.errors import Exhausted, FreeholdError, Unavailable
from freehold.drivers.connector.mcp import envelope, told, wire
from freehold.gateway.outward.exchange import Answer
from freehold.gateway.ports import Credential
from freehold.gateway.requesting.scrubbing import Blot

SECRET = "tok-canary-of-the-server"
STREAM = (
    b": hello\r\nretry: 250\r\n\r\nid: 1\rdata:\r\rid: 2\nevent: message\n"
    b'data: {"jsonrpc": "2.0",\ndata:  "method": "a"}\n\nid: 3\r\ndata: {"id": 7, "result": {}}\r\n\r\n'
)


def answer(pieces: Sequence[bytes], kind: str = wire.STREAM, **headers: str) -> Answer:
    async def chunks() -> AsyncGenerator[bytes, None]:
        for piece in pieces:
            yield piece

    return Answer(status=200, headers={"content-type": kind, **headers}, chunks=chunks())


def read(pieces: Sequence[bytes], kind: str = wire.STREAM, **headers: str) -> tuple[list[Any], wire.Reading]:
    reading = wire.Reading(Blot(Credential(SECRET)))

    async def collect() -> list[Any]:
        return [message async for message in reading.messages(answer(pieces, kind, **headers))]

    return asyncio.run(collect()), reading


@pytest.mark.parametrize("at", range(len(STREAM) + 1))
def test_a_stream_says_the_same_wherever_it_is_cut(at: int) -> None:
    messages, reading = read([STREAM[:at], STREAM[at:]])
    assert messages == [{"jsonrpc": "2.0", "method": "a"}, {"id": 7, "result": {}}]
    assert (reading.last, reading.pause) == ("3", 0.25)


def test_a_stream_of_single_bytes_says_the_same() -> None:
    messages, _ = read([bytes([byte]) for byte in STREAM])
    assert [message.get("id") for message in messages] == [None, 7]


def test_an_answer_of_json_is_a_message_or_a_list_of_them() -> None:
    assert read([b'{"id"', b": 1}"], "application/json; charset=utf-8")[0] == [{"id": 1}]
    assert read([b'[{"id": 1}, {"id": 2}]'], "application/json")[0] == [{"id": 1}, {"id": 2}]
    assert read([], "application/json")[0] == []


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'"x"', b"{", b"\xff", b"[" * 100_000, b"[" * 900 + b"]" * 900])
def test_what_is_no_message_is_told_as_such(body: bytes) -> None:
    with pytest.raises(Unavailable) as caught:
        read([body], "application/json")
    assert caught.value.code == "mcp_malformed"


@pytest.mark.parametrize(
    "pieces", [[b"x" * (1 << 20)] * 5, [b"[" + b"{}," * 10_000 + b"{}]"]], ids=["bytes", "messages"]
)
def test_more_than_is_read_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(Exhausted) as caught:
        read(pieces, "application/json")
    assert caught.value.code == "too_much"


def test_a_message_of_any_size_comes_without_the_credential() -> None:
    said = [{"id": 7, "result": {SECRET: [SECRET, 1, None, True]}}, {"id": "x" * wire.LARGE}]
    told = read([f"data: {json.dumps(one)}\n\n".encode() for one in said] + [json.dumps(said).encode()])[0]
    assert told == [{"id": 7, "result": {"[secret]": ["[secret]", 1, None, True]}}, said[1]]


def test_an_event_that_breaks_off_does_not_count() -> None:
    assert read([b"id: 1\ndata: {}\n\nid: 2\ndata: {}\n"])[1].last == "1"


async def test_a_stream_of_nothing_but_lines_lets_others_have_their_turn() -> None:
    reading, turns = wire.Reading(Blot(Credential(SECRET))), 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    assert [message async for message in reading.messages(answer([b"a\n" * (1 << 19)]))] == []
    beside.cancel()
    assert turns >= (1 << 20) // wire.LARGE


def test_what_was_packed_some_way_nobody_asked_for_is_not_read() -> None:
    with pytest.raises(FreeholdError):
        read([b"\x0b\x02\x80{}\x03"], "application/json", **{"content-encoding": "br"})


def test_who_asks_us_is_answered_only_that_we_are_there() -> None:
    assert json.loads(wire.reply({"id": "a", "method": "ping"})) == {"jsonrpc": "2.0", "id": "a", "result": {}}
    for method in ("sampling/createMessage", "roots/list", "elicitation/create"):
        assert json.loads(wire.reply({"id": 1, "method": method}))["error"]["code"] == -32601


@pytest.mark.parametrize("name", ["a/b", "ü", "x" * 65, "with space", "a:b"])
def test_a_tool_that_no_operation_can_be_called_gets_a_name_that_it_can(name: str) -> None:
    [tool] = told.tools_of([{"name": name, "inputSchema": {"type": "object"}}]).values()
    assert len(tool.name) <= 64
    assert tool.name.replace("_", "").replace("x", "").isalnum()
    assert tool.how == {"tool": name}
    assert told.name_of(name) == told.name_of(name) != told.name_of(name + "!")


@pytest.mark.parametrize(
    "tool",
    [
        "x", {}, {"name": ""}, {"name": "a"}, {"name": 1, "inputSchema": {}}, {"name": "a", "inputSchema": []},
    ],
)  # fmt: skip
def test_what_is_no_tool_is_left_out(tool: Any) -> None:
    assert told.tools_of([tool]) == {}


def test_of_two_tools_of_one_name_the_first_counts() -> None:
    schema = {"inputSchema": {"type": "object"}}
    listed = [{"name": "a", "description": "one", **schema}, {"name": "a", "description": "two", **schema}]
    assert told.tools_of(listed)["a"].description == "one"


@pytest.mark.parametrize("change", [{"description": "other"}, {"inputSchema": {}}, {"title": "T"}])
def test_a_tool_is_the_same_only_if_it_says_the_same(change: dict[str, Any]) -> None:
    listed = {"name": "a", "description": "one", "inputSchema": {"type": "object"}}
    before, after = told.tools_of([listed])["a"], told.tools_of([listed | change])["a"]
    assert told.same(before, told.tools_of([listed | {"annotations": {"readOnlyHint": True}}])["a"])
    assert not told.same(before, after)


def test_a_result_is_its_text_and_notes_of_the_rest() -> None:
    said = told.result_of(
        {
            "content": [
                {"type": "text", "text": "hello"},
                {"type": "image", "data": "QUJD", "mimeType": "image/png"},
                {"type": "resource", "resource": {"uri": "f:///a", "text": "inside"}},
                {"type": "resource", "resource": {"uri": "f:///b", "blob": "QUJDRA==", "mimeType": "x/y"}},
                {"type": "resource_link", "uri": "https://a.example", "name": "A"},
                "no block",
            ],
            "structuredContent": {"n": 1},
        }
    )
    note = "left out: only text is passed on"
    assert said == {
        "content": [
            {"type": "text", "text": "hello"},
            {"type": "image", "mime": "image/png", "bytes": 3, "note": note},
            {"type": "resource", "uri": "f:///a", "text": "inside"},
            {"type": "resource", "mime": "x/y", "bytes": 4, "note": note},
            {"type": "resource_link", "uri": "https://a.example", "name": "A"},
        ],
        "structured": {"n": 1},
    }


@pytest.mark.parametrize(
    ("texts", "structured", "kept"),
    [
        (['{"a": 1}'], {"a": 1}, False),
        (["one"], {"result": "one"}, False),
        (["one", "two"], {"result": ["one", "two"]}, False),
        (["one"], {"result": 1}, True),
        (["one"], {"a": 1}, True),
        ([], {"result": "one"}, True),
        (["[" * 5000], {"a": 1}, True),
    ],
)
def test_data_is_told_only_where_the_text_does_not_say_it(texts: list[str], structured: Any, kept: bool) -> None:  # noqa: FBT001
    blocks = [{"type": "text", "text": text} for text in texts]
    assert ("structured" in told.result_of({"content": blocks, "structuredContent": structured})) is kept


def test_a_result_is_no_larger_than_there_is_room_for() -> None:
    blocks = [{"type": "text", "text": "x" * 700_000}] * 3
    said = told.result_of({"content": blocks, "structuredContent": {"a": "y" * 2_000_000}, "isError": True})
    assert sum(len(block["text"]) for block in said["content"]) == told.MAX_TEXT
    assert (said["truncated"], said["is_error"], "structured" in said) == (True, True, False)


def test_a_tool_that_asks_for_something_back_has_failed() -> None:
    said = told.result_of({"resultType": "input_required", "inputRequests": {}})
    assert said["is_error"] is True


@pytest.mark.parametrize(
    ("value", "spelt"),
    [
        ("eu", "eu"), (7, "7"), (True, "true"), (1.5, "1.5"), ("a b", "a b"), (" a", "=?base64?IGE=?="),
        ("a\r\nX-Key: b", "=?base64?YQ0KWC1LZXk6IGI=?="), ("ü", "=?base64?w7w=?="), ("=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?="),
    ],
)  # fmt: skip
def test_an_argument_a_tool_wants_to_see_is_said_again_in_a_header(value: Any, spelt: str) -> None:
    schema = {"properties": {"where": {"properties": {"region": {"x-mcp-header": "Region"}}}}}
    params = {"name": "do", "arguments": {"where": {"region": value}}}
    assert envelope.routing("tools/call", params, schema) == {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "do",
        "mcp-param-region": spelt,
    }


@pytest.mark.parametrize("header", ["", "a b", "a\r\nb", 7, None, "x" * 200, "a:b"])
def test_what_is_no_header_is_not_said(header: Any) -> None:
    params = {"name": "do", "arguments": {"a": "x"}}
    assert len(envelope.routing("tools/call", params, {"properties": {"a": {"x-mcp-header": header}}})) == 3


def test_a_schema_may_say_what_it_likes() -> None:
    deep: dict[str, Any] = {}
    for _ in range(2_000):
        deep = {"properties": {"a": deep}}
    many = {"properties": {f"a{n}": {"x-mcp-header": f"H{n}"} for n in range(500)}}
    params = {"name": "do", "arguments": {f"a{n}": n for n in range(500)} | {"a": {"a": {}}}}
    for schema in (deep, {"properties": 7}, {"properties": {"a": 7}}, {"properties": [1]}):
        assert len(envelope.routing("tools/call", params, schema)) == 3
    assert len(envelope.routing("tools/call", params, many)) == 3 + envelope.MAX_HEADERS
