"""Money and models over web and a real gateway: what is set holds with the next call, and what was used is told."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from freehold.core.errors import FreeholdError
from freehold.gateway.client import ChatReply
from freehold.testing.providers import Fails, Says, provider
from freehold.web.building import build
from tests.gateways import Kit, running, said, work
from tests.webs import OPERATOR, Web, bearer, made

DOLLAR = 1_000_000_000
PRICE = {"*": {"input": 1.0, "output": 2.0}}


class Stage:
    """A tenant with an agent whose version calls `model`, its gateway, and somebody who asks web."""

    def __init__(self, web: Web, kit: Kit, asking: httpx.AsyncClient) -> None:
        self.web, self.kit, self.asking = web, kit, asking
        self.tenant = web.tenant("acme")
        self.agent = web.agent(self.tenant, "ada").id
        self._calls = 0

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        place = f"/api/v1/tenants/acme/{path}"
        answer = await self.asking.request(method, place, json=body, headers=bearer(OPERATOR), **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content and "json" in answer.headers["content-type"] else answer.text

    async def call(self, model: str, run: str = "run_1") -> ChatReply:
        """Call `model` as a run of the agent."""
        self._calls += 1
        version = f"ver_{model}"
        named: dict[str, Any] = {"tenant": self.tenant.id, "agent": self.agent, "version": version}
        await self.kit.web.publish(**named, model=model, tools={}, by="tester")
        key = f"{run}/1/{self._calls}/0"
        return await self.kit.worker.chat(work(**named, run=run), key=key, model=model, body=said("hello"))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with running(tmp_path / "gateway", audit_anchor="") as kit:
        web = made(tmp_path / "data", gateway=kit.web)
        app = httpx.ASGITransport(build(web.state), client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=app, base_url="http://127.0.0.1:7070") as asking:
            yield Stage(web, kit, asking)


async def connection(stage: Stage, name: str, base_url: str, **config: Any) -> None:
    body = {"kind": "openai", "name": name, "config": {"base_url": base_url, "price": PRICE} | config}
    await stage.ask("POST", "connections", body)


async def test_what_was_used_is_told_by_model_and_day_and_agent_and_as_a_sheet(stage: Stage) -> None:
    async with provider(Says(pieces=["Hi"], usage=(1_000_000, 500_000))) as scripted:
        await connection(stage, "own", scripted.base_url)
        await stage.call("own/large")
        await stage.call("own/small", run="run_2")
    told = await stage.ask("GET", "usage?by=model")
    groups = {group["key"]: (group["count"], group["cost_nano"]) for group in told["groups"]}
    assert groups == {"large": (1, 2 * DOLLAR), "small": (1, 2 * DOLLAR)}
    assert (told["spent_nano"], told["held_nano"], told["limit_nano"]) == (4 * DOLLAR, 0, None)
    (agent,) = (await stage.ask("GET", "usage?by=agent"))["groups"]
    assert (agent["key"], agent["name"], agent["charge_nano"]) == (stage.agent, "ada", 4 * DOLLAR)
    sheet = await stage.ask("GET", "usage?format=csv")
    (line,) = csv.DictReader(io.StringIO(sheet))
    assert (line["day"], line["count"], line["charge_nano"]) == ("2026-01-01", "2", str(4 * DOLLAR))
    assert (await stage.ask("GET", "usage?since=2026-01-02T00:00:00Z"))["total"]["count"] == 0


async def test_a_limit_holds_from_the_next_call_on_and_a_higher_one_too(stage: Stage) -> None:
    async with provider(Says(pieces=["Hi"], usage=(10, 5))) as scripted:
        await connection(stage, "own", scripted.base_url)
        await stage.call("own/large")
        await stage.ask("PUT", "budgets/agent.day.ada", {"limit_nano": 1})
        with pytest.raises(FreeholdError) as refused:
            await stage.call("own/large")
        assert (refused.value.status, refused.value.code) == (402, "budget_exhausted")
        await stage.ask("PUT", "budgets/agent.day.ada", {"limit_nano": DOLLAR})
        await stage.call("own/large")
        (budget,) = (await stage.ask("GET", "budgets"))["items"]
    assert budget["spent_nano"] == 40_000
    assert (budget["held_nano"], budget["left_nano"]) == (0, DOLLAR - 40_000)
    assert (await stage.ask("GET", "usage"))["budgets"] == [budget]


async def test_a_connection_leads_elsewhere_with_the_next_call(stage: Stage) -> None:
    async with provider(Says(pieces=["one"])) as first, provider(Says(pieces=["two"])) as second:
        await connection(stage, "own", first.base_url)
        assert (await stage.call("own/m")).text == "one"
        await stage.ask("PATCH", "connections/own", {"config": {"base_url": second.base_url}})
        assert (await stage.call("own/m")).text == "two"
        await stage.kit.web.set_secret(stage.tenant.id, "key", "sk-first", by="tester")
        await stage.ask("PATCH", "connections/own", {"secret": "key"})
        await stage.call("own/m")
        await stage.kit.web.set_secret(stage.tenant.id, "key", "sk-second", by="tester")
        await stage.call("own/m")
    sent = [headers.get("Authorization") for headers in second.headers]
    assert sent == [None, "Bearer sk-first", "Bearer sk-second"]


async def test_a_level_goes_another_way_with_the_next_call_and_past_what_fails(stage: Stage) -> None:
    async with provider(Says(pieces=["one"])) as first, provider(Says(pieces=["two"])) as second:
        await connection(stage, "first", first.base_url)
        await connection(stage, "second", second.base_url)
        await stage.ask("PUT", "levels/executor", {"routes": ["first/m", "second/m"]})
        assert (await stage.call("executor")).text == "one"
        first.script[:] = [Fails(status=500)]
        assert (await stage.call("executor")).text == "two"
        await stage.ask("PUT", "levels/executor", {"routes": ["second/m"]})
        assert (await stage.call("executor")).text == "two"
    told = await stage.ask("GET", "usage?by=level")
    assert [(group["key"], group["count"]) for group in told["groups"]] == [("executor", 4)]


async def test_a_region_refuses_what_is_elsewhere(stage: Stage) -> None:
    async with provider(Says(pieces=["Hi"])) as scripted:
        await connection(stage, "own", scripted.base_url)
        await stage.ask("PUT", "regions", {"regions": ["eu"]})
        with pytest.raises(FreeholdError) as refused:
            await stage.call("own/m")
        assert refused.value.code == "region_refused"
        await stage.ask("PATCH", "connections/own", {"config": {"region": "eu"}})
        assert (await stage.call("own/m")).text == "Hi"


async def test_a_markup_is_charged_on_the_platforms_connections_alone(stage: Stage) -> None:
    await stage.ask("PUT", "account", {"markup_ppm": 200_000})
    async with provider(Says(pieces=["Hi"], usage=(1_000_000, 0))) as scripted:
        config = {"base_url": scripted.base_url, "price": PRICE}
        await stage.kit.web.create_connection(
            None, kind="openai", name="theirs", config=config, secret=None, by="tester"
        )
        await connection(stage, "own", scripted.base_url)
        await stage.call("theirs/m")
        await stage.call("own/m")
    told = await stage.ask("GET", "usage?by=provider")
    charged = {group["key"]: (group["cost_nano"], group["charge_nano"]) for group in told["groups"]}
    assert charged == {"theirs": (DOLLAR, 6 * DOLLAR // 5), "own": (DOLLAR, DOLLAR)}


async def test_a_tenant_that_pays_in_advance_spends_what_it_paid(stage: Stage) -> None:
    async with provider(Says(pieces=["Hi"], usage=(10, 5))) as scripted:
        config = {"base_url": scripted.base_url, "price": PRICE}
        named: dict[str, Any] = {"kind": "openai", "name": "theirs", "config": config, "secret": None, "by": "tester"}
        await stage.kit.web.create_connection(None, **named)
        await stage.ask("PUT", "account", {"prepaid": True})
        with pytest.raises(FreeholdError) as refused:
            await stage.call("theirs/m")
        assert (refused.value.status, refused.value.code) == (402, "credit_exhausted")
        for _ in range(2):
            await stage.ask("POST", "account/credit", {"nano": DOLLAR, "reference": "invoice 7"})
        with pytest.raises(AssertionError, match="reference_used"):
            await stage.ask("POST", "account/credit", {"nano": 1, "reference": "invoice 7"})
        await stage.call("theirs/m")
    account = await stage.ask("GET", "account")
    assert (account["credit_nano"], account["credit_left_nano"]) == (DOLLAR, DOLLAR - 20_000)
    assert [budget["id"] for budget in (await stage.ask("GET", "budgets"))["items"]] == ["credit.ever"]


async def test_trying_a_connection_says_whether_it_works_and_what_to_do(stage: Stage) -> None:
    await connection(stage, "gone", "http://127.0.0.1:9/v1")
    told = await stage.ask("POST", "connections/gone/test")
    assert (told["ok"], bool(told["error"]["code"])) == (False, True)
    assert told["error"]["message"]
