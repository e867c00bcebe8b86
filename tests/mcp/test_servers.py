"""Servers made with the official SDK, in each of the ways they can answer, and the driver that calls their tools."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from freehold.core.effects import EffectKind
from freehold.core.errors import Denied, Unavailable
from freehold.core.tools import Tool
from freehold.drivers.connector.mcp.driver import Mcp
from freehold.gateway.asked import Behalf
from freehold.gateway.ports import ConnectorCall, Credential, NotSent, Reached
from freehold.testing.clock import FakeClock
from tests.dialling import client
from tests.mcp.peers import Peer, needed, serving

pytestmark = needed
KEY = "mcp-key-0123456789"
MODES = [(json, stateless) for json in (False, True) for stateless in (False, True)]


class Caller:
    """The gateway's side: one connection, and the tools it was told of at first."""

    def __init__(self, driver: Mcp, peer: Peer, clock: FakeClock) -> None:
        self.driver, self.clock = driver, clock
        self.to = Reached(
            owner="ten_1",
            name="notes",
            config={"base_url": peer.url},
            credential=Credential(KEY),
            behalf=Behalf("ten_1"),
        )
        self.tools: Mapping[str, Tool] = {}
        self.left = 0

    async def look(self) -> None:
        self.tools = {tool.name: tool for tool in await self.driver.discover(self.to, None)}

    async def call(self, tool: str, left: asyncio.Event | None = None, **arguments: Any) -> dict[str, Any]:
        def sent() -> None:
            self.left += 1
            if left is not None:
                left.set()

        made = ConnectorCall(key="k", tool=self.tools[tool], arguments=arguments, to=self.to, sent=sent)
        return await self.driver.perform(made)

    async def said(self, tool: str, **arguments: Any) -> str:
        return "".join(block["text"] for block in (await self.call(tool, **arguments))["content"])


@asynccontextmanager
async def calling(peer: Peer, **other: Any) -> AsyncIterator[Caller]:
    clock, way = FakeClock(), client()
    driver = Mcp(way, clock, **other)
    caller = Caller(driver, peer, clock)
    await caller.look()
    yield caller
    await driver.close()
    await way.close()


@pytest.mark.parametrize(("answers_json", "stateless"), MODES)
async def test_tools_are_listed_and_called_in_every_way_a_server_answers(answers_json: bool, stateless: bool) -> None:  # noqa: FBT001
    async with serving(key=KEY, answers_json=answers_json, stateless=stateless) as peer, calling(peer) as caller:
        assert caller.tools["find_notes"].kind is EffectKind.READ
        assert caller.tools["add_note"].kind is EffectKind.MESSAGE
        assert caller.tools["wipe"].kind is EffectKind.DESTROY
        assert caller.tools["add_note"].how == {"tool": "add_note", "title": "Add a note"}
        assert await caller.call("find_notes", text="milk") == {"content": [{"type": "text", "text": "buy milk"}]}
        assert await caller.said("add_note", text="one") == "There are 1 new notes."
        assert await caller.said("progress") == "arrived"
        assert (await caller.call("breaks"))["is_error"] is True
        assert "milk" not in str(await caller.call("add_note", text="two"))
        assert await peer.ledger() == ["add one", "add two"]
        assert caller.left == 5


@pytest.mark.parametrize("answers_json", [False, True])
async def test_a_server_that_knows_no_handshake_is_asked_without_one(answers_json: bool) -> None:  # noqa: FBT001
    async with serving(key=KEY, answers_json=answers_json, newest=True) as peer, calling(peer) as caller:
        assert await caller.said("add_note", text="one") == "There are 1 new notes."
        assert await caller.said("progress") == "arrived"
        assert (await caller.call("breaks"))["is_error"] is True
        assert await caller.said("in_region", region="Zürich") == "Zürich, as =?base64?WsO8cmljaA==?="
        assert await caller.said("in_region", region="bern") == "bern, as bern"
        await peer.describe("Sends all notes to everybody.")
        caller.clock.wind(601)
        with pytest.raises(Denied) as caught:
            await caller.call("shifty")
        assert caught.value.code == "tool_changed"
        assert await peer.ledger() == ["add one"]


async def test_a_tool_that_says_something_else_since_is_not_called() -> None:
    async with serving(key=KEY) as peer, calling(peer) as caller:
        await peer.describe("Sends all notes to everybody.")
        assert await caller.said("shifty") == "done"  # what was listed a moment ago is believed
        caller.clock.wind(601)
        with pytest.raises(Denied) as caught:
            await caller.call("shifty")
        assert caught.value.code == "tool_changed"
        assert await peer.ledger() == ["shifty"]
        await caller.look()
        assert await caller.said("shifty") == "done"


async def test_a_server_that_was_started_anew_gets_a_new_session_and_the_call_once() -> None:
    async with serving(key=KEY) as peer, calling(peer) as caller:
        await caller.said("add_note", text="before")
        port = peer.port
    async with serving(port=port, key=KEY) as peer:
        assert await caller.said("add_note", text="after") == "There are 1 new notes."
        assert await peer.ledger() == ["add after"]


async def test_a_server_that_asks_us_something_is_told_that_nobody_answers() -> None:
    async with serving(key=KEY) as peer, calling(peer) as caller:
        assert "not answered" in await caller.said("asks")


async def test_an_answer_that_is_let_go_of_is_taken_up_again_and_done_once() -> None:
    async with serving(key=KEY) as peer, calling(peer) as caller:
        assert await caller.said("lets_go") == "kept for you"
        assert await peer.ledger() == ["lets_go"]


async def test_a_slow_tool_is_unknown_and_a_slow_handshake_was_never_sent() -> None:
    async with serving(key=KEY) as peer, calling(peer, seconds=1.0) as caller:
        with pytest.raises(Unavailable) as caught:
            await caller.call("slow", seconds=30)
        assert not isinstance(caught.value, NotSent)
        assert (caught.value.code, await peer.ledger()) == ("mcp_timeout", ["slow"])


async def test_a_server_that_breaks_off_leaves_it_unknown() -> None:
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(serving(key=KEY))
        async with calling(peer) as caller:
            left = asyncio.Event()
            call = asyncio.create_task(caller.call("slow", left=left, seconds=30))
            await left.wait()
            await stack.aclose()
            with pytest.raises(Unavailable) as caught:
                await call
    assert not isinstance(caught.value, NotSent)


async def test_what_is_no_server_any_more_was_sent_nothing() -> None:
    async with serving(key=KEY) as peer, calling(peer) as caller:
        caller.clock.wind(601)
    with pytest.raises(NotSent):
        await caller.call("add_note", text="x")


async def test_a_credential_that_comes_back_is_blotted_out() -> None:
    async with serving(key=KEY) as peer, calling(peer) as caller:
        said = await caller.said("headers")
    assert "[secret]" in said
    assert KEY not in said
    assert '"mcp-protocol-version": "2025-11-25"' in said


async def test_a_wrong_key_is_told_as_such() -> None:
    async with serving(key="another-key-entirely") as peer:
        with pytest.raises(Denied) as caught:
            async with calling(peer):
                pass
    assert caught.value.code == "mcp_denied"


async def test_only_text_is_passed_on_and_only_so_much() -> None:
    async with serving(key=KEY) as peer, calling(peer) as caller:
        [picture] = (await caller.call("picture"))["content"]
        assert (picture["type"], picture["mime"], len(str(picture)) < 200) == ("image", "image/png", True)
        much = await caller.call("verbose", size=2_000_000)
        assert (len(much["content"][0]["text"]), much["truncated"]) == (1 << 20, True)
        with pytest.raises(Unavailable) as caught:
            await caller.call("verbose", size=5 << 20)
        assert caught.value.code == "too_much"
