"""Agents whose tools are another program's: an MCP server, asked through the real gateway by the rehearsal model."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from freehold.agents.connection_tools import ConnectionTools
from freehold.agents.framing import Instructions
from freehold.agents.loop import body_of
from freehold.core.agents import Spec
from freehold.core.effects import EffectKind, EffectState, Verdict
from freehold.core.errors import Denied, Invalid
from freehold.runs.endings import Done, Park
from freehold.testing.clock import FakeClock
from freehold.testing.guests import MemoryGuest, MemorySandboxes
from freehold.testing.segments import Stage
from tests.gateways import TENANT, Kit, effect, running, work
from tests.mcp.peers import Peer, needed, serving

pytestmark = needed
KEY = "mcp-key-0123456789"


@asynccontextmanager
async def connected(data: Path) -> AsyncIterator[tuple[Kit, Peer, FakeClock]]:
    """Give a gateway with a connection to a server, which was asked what it can do."""
    clock = FakeClock()
    async with serving(key=KEY) as peer, running(data, clock) as kit:
        await kit.web.set_secret(TENANT, "notes-key", KEY, by="tester")
        named: dict[str, Any] = {"kind": "mcp", "name": "notes", "secret": "notes-key", "by": "tester"}
        await kit.web.create_connection(TENANT, config={"base_url": peer.url}, **named)
        await kit.web.refresh_tools(TENANT, "notes", document=None, by="tester")
        yield kit, peer, clock


async def granted(kit: Kit, **verdicts: str) -> Spec:
    """Publish a version that may use these tools as they are now, and return what it says."""
    told = (await kit.web.tools_of(TENANT, ["notes"]))["notes"]
    tools = {f"notes.{name}": verdict for name, verdict in verdicts.items()}
    pinned = {f"notes.{name}": told[name].pinned for name in verdicts}
    await kit.publish(tools=tools, pins={name: pin.hash for name, pin in pinned.items()})
    return Spec(model="rehearsal", tools={name: Verdict(verdict) for name, verdict in tools.items()}, pinned=pinned)


def staged(kit: Kit, spec: Spec) -> Stage:
    body = body_of(
        gateway=kit.worker,
        sandboxes=MemorySandboxes(MemoryGuest({})),
        tools=[ConnectionTools(kit.worker)],
        contexts=[Instructions()],
        model_attempts=1,
    )
    return Stage(body, spec)


async def test_an_agent_uses_another_programs_tools(tmp_path: Path) -> None:
    async with connected(tmp_path) as (kit, peer, _):
        stage = staged(kit, await granted(kit, find_notes="allow", add_note="allow"))
        ending = await stage.say('call notes find_notes {"text": "milk"}\ncall notes add_note {"text": "rain"}')
        assert isinstance(ending, Done)
        assert "buy milk" in ending.output
        assert "There are 1 new notes." in ending.output
        assert await peer.ledger() == ["add rain"]
        assert (await kit.web.usage(TENANT))["kinds"]["mcp"]["count"] == 2


async def test_a_person_is_asked_before_everything_is_wiped(tmp_path: Path) -> None:
    async with connected(tmp_path) as (kit, peer, _):
        stage = staged(kit, await granted(kit, wipe="ask"))
        ending = await stage.say("call notes wipe")
        assert isinstance(ending, Park)
        [question] = ending.questions
        assert await peer.ledger() == []
        await kit.web.decide(tenant=TENANT, key=question.key, hash=question.hash, approve=True, by="ann")
        assert isinstance(await stage.resume(ending, approve=True), Done)
        assert await peer.ledger() == ["wipe"]


async def test_the_kinds_of_tools_are_what_the_server_hints_at_until_somebody_says_otherwise(tmp_path: Path) -> None:
    async with connected(tmp_path) as (kit, _, _):
        kinds = {tool["name"]: tool["kind"] for tool in await kit.web.list_tools(TENANT, "notes")}
        assert (kinds["find_notes"], kinds["add_note"], kinds["wipe"]) == ("read", "message", "destroy")
        await kit.web.set_tool_kind(TENANT, "notes", "add_note", kind=EffectKind.OWN_WRITE, by="tester")
        stage = staged(kit, await granted(kit, add_note="allow"))
        assert isinstance(await stage.say('call notes add_note {"text": "still the same tool"}'), Done)


async def test_a_tool_that_the_server_changed_is_refused_and_a_new_version_may_use_it(tmp_path: Path) -> None:
    async with connected(tmp_path) as (kit, peer, clock):
        await granted(kit, shifty="allow")
        await peer.describe("Sends all notes to everybody.")
        clock.wind(601)
        refused = await kit.worker.submit(work(), effect("shifty", "notes"))
        assert (refused.state, (refused.error or {})["code"]) == (EffectState.FAILED, "tool_changed")
        await kit.web.refresh_tools(TENANT, "notes", document=None, by="tester")
        still = await kit.worker.submit(work(), effect("shifty", "notes", key="run_1/1/1/2"))
        assert (still.state, (still.error or {})["code"]) == (EffectState.REFUSED, "tool_changed")
        assert await peer.ledger() == []
        told = (await kit.web.tools_of(TENANT, ["notes"]))["notes"]["shifty"]
        await kit.publish(tools={"notes.shifty": "allow"}, pins={"notes.shifty": told.pinned.hash}, version="ver_2")
        done = await kit.worker.submit(work(version="ver_2"), effect("shifty", "notes", key="run_1/1/1/3"))
        assert (done.state, await peer.ledger()) == (EffectState.DONE, ["shifty"])


async def test_a_call_under_one_key_happens_once(tmp_path: Path) -> None:
    async with connected(tmp_path) as (kit, peer, _):
        await granted(kit, add_note="allow", breaks="allow")
        asked = effect("add_note", "notes", text="once")
        first, second = [await kit.worker.submit(work(), asked) for _ in range(2)]
        broken = await kit.worker.submit(work(), effect("breaks", "notes", key="run_1/1/1/2"))
        assert (first.result, first.fresh, second.result, second.fresh) == (second.result, True, first.result, False)
        assert await peer.ledger() == ["add once"]
        assert (broken.state, (broken.result or {})["is_error"]) == (EffectState.DONE, True)


async def test_the_key_is_nowhere_in_what_comes_back(tmp_path: Path) -> None:
    async with connected(tmp_path) as (kit, _, _):
        await granted(kit, headers="allow")
        outcome = await kit.worker.submit(work(), effect("headers", "notes"))
        assert "[secret]" in json.dumps(outcome.result)
        assert KEY not in json.dumps(outcome.result)


async def test_a_server_in_a_private_network_wants_an_operators_word(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        config = {"base_url": "http://10.1.2.3:8000/mcp"}
        with pytest.raises(Denied) as caught:
            await kit.web.create_connection(TENANT, kind="mcp", name="n", config=config, secret=None, by="tester")
    assert caught.value.code == "address_refused"


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"base_url": ""},
        {"base_url": "stdio:server"},
        {"base_url": "https://a:b@mcp.example.com/mcp"},
        {"base_url": "https://mcp.example.com/mcp", "headers": ["x"]},
        {"base_url": "https://mcp.example.com/mcp", "inject": "cookie"},
        {"base_url": "https://mcp.example.com/mcp", "command": "npx server"},
    ],
)
async def test_a_connection_that_could_never_work_is_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    async with running(tmp_path) as kit:
        with pytest.raises(Invalid):
            await kit.web.create_connection(TENANT, kind="mcp", name="n", config=config, secret=None, by="tester")
