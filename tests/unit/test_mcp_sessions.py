"""Servers of MCP that misbehave: what was asked of them is done at most once, and what is told of it is true."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from freehold.core.effects import EffectKind
from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable
from freehold.core.tools import Tool
from freehold.gateway.ports import NotSent
from freehold.testing.counterpart import Heard, Tells
from tests.mcp_script import JSON, LISTED, STREAM, TOOL, call, event, played, reached, result


async def test_a_session_is_kept_and_ended() -> None:
    async with played() as (script, outside, driver, clock):
        for _ in range(2):
            await driver.perform(call(reached(outside)))
        assert script.asked == ["initialize", "notifications/initialized", "tools/list", "tools/call", "tools/call"]
        assert [heard.header("mcp-session-id") for heard in outside.heard] == [[]] + [["s-1"]] * 4
        clock.wind(601)
        await driver.perform(call(reached(outside)))
        await driver.close()
        assert script.asked.count("DELETE") == 2
        assert script.asked.count("initialize") == 2


async def test_tenants_and_keys_never_share_a_session() -> None:
    async with played() as (script, outside, driver, _):
        for to in (reached(outside), reached(outside, tenant="ten_2"), reached(outside, key="another-key")):
            await driver.perform(call(to))
        assert script.asked.count("initialize") == 3


async def test_a_session_the_server_forgot_is_made_anew_and_the_call_is_made_once_more() -> None:
    async with played() as (script, outside, driver, _):
        await driver.perform(call(reached(outside)))
        gone = iter([Tells(status=404)])
        script.on["tools/call"] = lambda message: next(gone, None) or result(message, {"content": []})
        assert await driver.perform(call(reached(outside))) == {"content": []}
        assert script.asked.count("initialize") == 2


async def test_a_server_that_forgets_each_session_was_sent_nothing() -> None:
    async with played() as (script, outside, driver, _):
        script.on["tools/call"] = lambda _: Tells(status=404)
        with pytest.raises(NotSent):
            await driver.perform(call(reached(outside)))
        assert script.calls == 2


@pytest.mark.parametrize(
    "on_get",
    [
        lambda _: Tells(status=404),
        lambda _: Tells(status=405),
        lambda _: Tells(status=429),
        lambda _: Tells(status=401),
        lambda _: Tells(silent=True),
        lambda _: Tells(headers=STREAM),
    ],
)
async def test_a_call_whose_answer_is_lost_is_not_made_again(on_get: Callable[[Heard], Tells]) -> None:
    async with played() as (script, outside, driver, _):
        script.on["tools/call"] = lambda _: Tells(headers=STREAM, pieces=[b"id: 1\ndata:\n\n"])
        script.on_get = on_get
        with pytest.raises(Unavailable) as caught:
            await driver.perform(call(reached(outside)))
        assert not isinstance(caught.value, NotSent)
        assert script.calls == 1


async def test_an_answer_is_taken_up_where_it_broke_off() -> None:
    async with played() as (script, outside, driver, _):
        numbers: list[int] = []

        def breaks(message: dict[str, Any]) -> Tells:
            numbers.append(message["id"])
            return Tells(headers=STREAM, pieces=[event({"method": "notifications/progress"}, "e-9")], cut=True)

        def resumed(_: Heard) -> Tells:
            return Tells(headers=STREAM, pieces=[event({"id": numbers[0], "result": {"content": []}})])

        script.on["tools/call"], script.on_get = breaks, resumed
        assert await driver.perform(call(reached(outside))) == {"content": []}
        [got] = [heard for heard in outside.heard if heard.method == "GET"]
        assert got.header("last-event-id") == ["e-9"]
        assert script.calls == 1


@pytest.mark.parametrize(
    ("tells", "kind", "code"),
    [
        (Tells(status=400), Invalid, "mcp_refused"),
        (Tells(status=401), Denied, "mcp_denied"),
        (Tells(status=302, headers={"Location": "https://elsewhere.example/"}), Invalid, "mcp_refused"),
        (Tells(status=307, headers={"Location": "/mcp/"}), Invalid, "mcp_refused"),
        (Tells(status=429, headers={"Retry-After": "7"}), NotSent, "mcp_busy"),
        (Tells(status=500), Unavailable, "mcp_failed"),
        (Tells(status=202), Unavailable, "mcp_malformed"),
        (Tells(headers=JSON, pieces=[b"<html>"]), Unavailable, "mcp_malformed"),
        (Tells(headers=JSON, pieces=[b'{"id": 99, "result": {}}']), Unavailable, "mcp_malformed"),
        (Tells(headers=JSON, pieces=[b'{"id": 3'], cut=True), Unavailable, "server_cut"),
        (Tells(silent=True), Unavailable, "server_cut"),
        (Tells(headers=STREAM, pieces=[b"data: x"] * 3), Unavailable, "mcp_malformed"),
        (Tells(headers=JSON, pieces=[b" " * (1 << 20)] * 5), Unavailable, "too_much"),
    ],
)
async def test_what_goes_wrong_is_told_as_it_is(tells: Tells, kind: type[FreeholdError], code: str) -> None:
    async with played() as (script, outside, driver, _):
        script.on["tools/call"] = lambda _: tells
        with pytest.raises(FreeholdError) as caught:
            await driver.perform(call(reached(outside)))
        assert (type(caught.value), caught.value.code, script.calls) == (kind, code, 1)


async def test_what_goes_wrong_before_a_call_was_never_sent() -> None:
    for method in ("initialize", "notifications/initialized", "tools/list"):
        async with played() as (script, outside, driver, _):
            script.on[method] = lambda _: Tells(silent=True)
            with pytest.raises(NotSent):
                await driver.perform(call(reached(outside)))
            assert script.calls == 0


async def test_a_reading_tool_that_says_too_much_has_failed() -> None:
    async with played() as (script, outside, driver, _):
        script.on["tools/call"] = lambda _: Tells(headers=JSON, pieces=[b" " * (1 << 20)] * 5)
        reads = Tool(
            **{name: getattr(TOOL, name) for name in ("name", "description", "parameters", "how")}, kind=EffectKind.READ
        )
        with pytest.raises(Invalid) as caught:
            await driver.perform(call(reached(outside), reads))
        assert caught.value.code == "too_much"


@pytest.mark.parametrize("version", [None, "1999-01-01", 7, ["2025-06-18"]])
async def test_a_version_nobody_speaks_is_refused(version: Any) -> None:
    async with played() as (script, outside, driver, _):
        script.version = version
        with pytest.raises(Invalid) as caught:
            await driver.discover(reached(outside), None)
        assert caught.value.code == "mcp_version"


async def test_a_server_that_only_knows_versions_without_a_handshake_is_told_as_such() -> None:
    async with played() as (script, outside, driver, _):
        error = {"code": -32022, "message": "Unsupported protocol version"}
        script.on["initialize"] = lambda message: Tells(
            headers=JSON, pieces=[json.dumps({"id": message["id"], "error": error}).encode()]
        )
        with pytest.raises(Invalid) as caught:
            await driver.discover(reached(outside), None)
        assert caught.value.code == "mcp_version"


async def test_the_version_a_server_chose_is_said_from_then_on() -> None:
    async with played() as (_, outside, driver, _clock):
        await driver.discover(reached(outside), None)
        said = [heard.header("mcp-protocol-version") for heard in outside.heard]
        assert said == [[], ["2025-06-18"], ["2025-06-18"]]
        assert json.loads(outside.heard[0].body)["params"]["protocolVersion"] == "2025-11-25"


@pytest.mark.parametrize("session", ["x" * 2000, "a b", "ä"])
async def test_a_session_id_that_makes_no_sense_is_none(session: str) -> None:
    async with played() as (script, outside, driver, _):
        script.session = session
        with pytest.raises(Unavailable):
            await driver.discover(reached(outside), None)


async def test_a_list_is_read_page_by_page_and_not_for_ever() -> None:
    async with played() as (script, outside, driver, _):
        pages: Iterator[dict[str, Any]] = iter(
            [{"tools": [LISTED], "nextCursor": "2"}, {"tools": [LISTED | {"name": "b"}]}]
        )
        script.on["tools/list"] = lambda message: result(message, next(pages))
        assert [tool.name for tool in await driver.discover(reached(outside), None)] == ["do", "b"]
        script.on["tools/list"] = lambda message: result(message, {"tools": [], "nextCursor": "again"})
        with pytest.raises(Invalid) as caught:
            await driver.discover(reached(outside), None)
        assert caught.value.code == "too_many_tools"


async def test_a_tool_that_changed_is_noticed_before_it_is_called() -> None:
    async with played() as (script, outside, driver, _):
        script.on["tools/call"] = lambda message: Tells(
            headers=STREAM,
            pieces=[
                event({"method": "notifications/tools/list_changed"}),
                event({"id": message["id"], "result": {"content": []}}),
            ],
        )
        await driver.perform(call(reached(outside)))
        script.listed = [LISTED | {"description": "Do something else."}]
        with pytest.raises(Denied) as caught:
            await driver.perform(call(reached(outside)))
        assert (caught.value.code, script.calls) == ("tool_changed", 1)


async def test_a_server_that_asks_gets_an_answer_and_may_refuse_it() -> None:
    async with played() as (script, outside, driver, _):
        script.on["reply"] = lambda _: Tells(status=500)
        script.on["tools/call"] = lambda message: Tells(
            headers=STREAM,
            pieces=[
                event({"id": "q", "method": "sampling/createMessage", "params": {}}),
                event({"id": message["id"], "result": {"content": []}}),
            ],
        )
        assert await driver.perform(call(reached(outside))) == {"content": []}
        assert json.loads(outside.heard[-1].body)["error"]["code"] == -32601


async def test_the_key_goes_where_the_connection_says_and_headers_are_said_once() -> None:
    async with played() as (_, outside, driver, _clock):
        to = reached(outside, inject="header:X-Key", headers={"Accept": "text/html", "X-Team": "a"})
        await driver.perform(call(to))
        for heard in outside.heard:
            assert heard.header("x-key") == ["key-0123456789"]
            assert heard.header("authorization") == []
            assert heard.header("x-team") == ["a"]
            assert len(heard.header("accept")) == 1
            assert "text/html" not in heard.header("accept")[0]


async def test_an_error_of_the_protocol_is_an_answer() -> None:
    async with played() as (script, outside, driver, _):
        error = {"code": -32602, "message": "No such argument key-0123456789."}
        script.on["tools/call"] = lambda message: Tells(
            headers=JSON, pieces=[json.dumps({"id": message["id"], "error": error}).encode()]
        )
        told = await driver.perform(call(reached(outside)))
        assert told == {"content": [{"type": "text", "text": "No such argument [secret]."}], "is_error": True}


async def test_a_document_is_not_what_a_server_is_asked_by() -> None:
    async with played() as (_, outside, driver, _clock):
        with pytest.raises(Invalid) as caught:
            await driver.discover(reached(outside), {"openapi": "3.1.0"})
        assert caught.value.code == "bad_document"


async def test_calls_at_once_share_one_handshake() -> None:
    async with played() as (script, outside, driver, _):
        await asyncio.gather(*(driver.perform(call(reached(outside))) for _ in range(8)))
        assert (script.asked.count("initialize"), script.asked.count("tools/list"), script.calls) == (1, 1, 8)


async def test_only_so_many_sessions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.drivers.connector.mcp.driver.MOST_SESSIONS", 2)
    async with played() as (script, outside, driver, clock):
        for tenant in ("ten_1", "ten_2", "ten_3"):
            clock.wind(1)
            await driver.perform(call(reached(outside, tenant)))
        await driver.perform(call(reached(outside, "ten_3")))
        assert script.asked.count("initialize") == 3
        clock.wind(1)
        await driver.perform(call(reached(outside, "ten_1")))
        assert script.asked.count("initialize") == 4


async def test_a_server_that_says_too_much_of_its_tools_is_not_remembered() -> None:
    async with played() as (script, outside, driver, _):
        listed = {"tools": [{**LISTED, "description": "x" * (1 << 20)}], "nextCursor": "on"}
        script.on["tools/list"] = lambda message: result(message, listed)
        with pytest.raises(Invalid) as caught:
            await driver.discover(reached(outside), None)
        assert caught.value.code == "too_many_tools"
        assert script.asked.count("tools/list") <= 5
