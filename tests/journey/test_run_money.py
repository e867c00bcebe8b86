"""Runs and money, with a real gateway and the rehearsal model: a limit is met, somebody is asked, the run goes on or ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from freehold.agents.delegating import Delegating
from freehold.agents.framing import Instructions
from freehold.agents.loop import body_of
from freehold.agents.sandbox_tools import SandboxTools
from freehold.core.agents import Spec
from freehold.core.effects import Verdict
from freehold.core.money import NANO
from freehold.core.runs import RunState
from freehold.runs.endings import Done, Ending, Fail, Park
from freehold.testing.guests import MemoryGuest, MemorySandboxes
from freehold.testing.segments import Stage
from tests.gateways import AGENT, TENANT, Kit, running


@asynccontextmanager
async def played(data: Path, *, model: str = "rehearsal", depth: int = 0) -> AsyncIterator[tuple[Kit, Stage]]:
    """Give a gateway that has published the stage's version, and the stage."""
    async with running(data) as kit:
        if model == "rehearsal":
            await kit.publish(model, {"delegate": "allow"})
        sandboxes = MemorySandboxes(MemoryGuest({}))
        tools = [SandboxTools(kit.worker, sandboxes, timeout=60), Delegating(kit.worker)]
        body = body_of(
            gateway=kit.worker, sandboxes=sandboxes, tools=tools, contexts=[Instructions()], model_attempts=3
        )
        stage = Stage(body, Spec(model=model, tools={"delegate": Verdict.ALLOW}))
        stage.run = replace(stage.run, depth=depth)
        yield kit, stage


async def limited(kit: Kit, nano: int, scope: str = "tenant", subject: str = "", period: str = "month") -> None:
    which = {"scope": scope, "subject": subject, "period": period}
    await kit.web.set_budget(TENANT, limit_nano=nano, by="ann", **which)


async def decided(kit: Kit, ending: Ending, *, approve: bool) -> Park:
    """Decide at the gateway what the run asks, as web does."""
    assert isinstance(ending, Park), ending
    (question,) = ending.questions
    await kit.web.decide(tenant=TENANT, key=question.key, hash=question.hash, approve=approve, by="ann")
    return ending


@pytest.mark.parametrize(
    ("scope", "subject", "period"),
    [("tenant", "", "month"), ("tenant", "", "day"), ("agent", AGENT, "month"), ("run", "*", "ever")],
)
async def test_a_run_asks_at_the_limit_and_goes_on_with_what_it_is_given(
    tmp_path: Path, scope: str, subject: str, period: str
) -> None:
    async with played(tmp_path) as (kit, stage):
        await limited(kit, 1, scope, subject, period)
        parked = await decided(kit, await stage.say("hello"), approve=True)
        assert parked.questions[0].arguments["usd"] == 1
        assert "budget" in parked.questions[0].reason
        assert isinstance(await stage.resume(parked, approve=True), Done)
        stood = [one for one in await kit.web.list_budgets(TENANT) if one["scope"] != "run"]  # those of runs are many
        assert [one["limit_nano"] for one in stood] == [NANO + 1] * (scope != "run")
        assert all(0 < one["spent_nano"] <= one["limit_nano"] and not one["held_nano"] for one in stood)


async def test_denied_it_is_over_and_nothing_was_spent(tmp_path: Path) -> None:
    async with played(tmp_path) as (kit, stage):
        await limited(kit, 1)
        parked = await decided(kit, await stage.say("hello"), approve=False)
        ending = await stage.resume(parked, approve=False)
        assert isinstance(ending, Fail)
        assert (ending.code, bool(ending.remedy)) == ("budget_exhausted", True)
        (stands,) = await kit.web.list_budgets(TENANT)
        assert (stands["spent_nano"], stands["limit_nano"]) == (0, 1)


async def test_the_tier_is_for_the_operator_to_raise(tmp_path: Path) -> None:
    async with played(tmp_path) as (kit, stage):
        await kit.web.limit({TENANT: 1}, by="operator")
        ending = await stage.say("hello")
        assert isinstance(ending, Fail)
        assert ending.code == "budget_exhausted"
        assert "operator" in ending.remedy
        await kit.web.limit({TENANT: None}, by="operator")
        assert isinstance(await stage.again(), Fail)  # what a step came to stays so


@pytest.mark.parametrize("scope", ["unattended", "tenant"])
async def test_what_nobody_attends_ends_at_once(tmp_path: Path, scope: str) -> None:
    async with played(tmp_path) as (kit, stage):
        stage.run = replace(stage.run, attended=False)
        await limited(kit, 1, scope)
        ending = await stage.say("hello")
        assert isinstance(ending, Fail)
        assert ending.code == "budget_exhausted"


async def test_what_somebody_attends_is_not_held_to_the_limit_of_what_nobody_does(tmp_path: Path) -> None:
    async with played(tmp_path) as (kit, stage):
        await limited(kit, 1, "unattended")
        assert isinstance(await stage.say("hello"), Done)


async def test_marks_are_noted_as_runs_spend_for_those_who_are_to_be_told(tmp_path: Path) -> None:
    async with played(tmp_path) as (kit, stage):
        stage.run = replace(stage.run, attended=False)
        await stage.say("hello")
        spent = (await kit.web.usage(TENANT))["total"]["charge_nano"]
        await limited(kit, 5 * spent)
        ending: Ending = Done("")
        while isinstance(ending, Done):
            stage.run = replace(stage.run, state=RunState.QUEUED, segment=stage.run.segment + 1)
            ending = await stage.say("hello")
        assert isinstance(ending, Fail)
        noted = await kit.web.warnings("")
        assert noted[0]["percent"] == 50
        assert {(one["tenant"], one["scope"], one["limit_nano"]) for one in noted} == {(TENANT, "tenant", 5 * spent)}
        assert (await kit.web.look())["warned"] == noted[-1]["id"]
        assert await kit.web.warnings(noted[-1]["id"]) == []


async def levels(kit: Kit, **routes: str) -> None:
    for level, route in routes.items():
        await kit.web.set_level(TENANT, level, [route], by="ann")


async def used(kit: Kit) -> list[dict[str, Any]]:
    return [row for row in (await kit.web.usage(TENANT))["rows"] if row["kind"] == "model"]


async def test_a_level_is_a_model_and_leads_where_its_routes_say_at_the_moment(tmp_path: Path) -> None:
    async with played(tmp_path, model="coordinator") as (kit, stage):
        await levels(kit, coordinator="rehearsal")
        await kit.publish("coordinator", {"delegate": "allow"})
        assert isinstance(await stage.say("hello"), Done)
        await levels(kit, coordinator="rehearsal?fail=401")
        stage.run = replace(stage.run, state=RunState.QUEUED, segment=2)
        ending = await stage.say("hello again")
        assert isinstance(ending, Fail)
        assert ending.code == "provider_refused"
        assert {row["level"] for row in await used(kit)} == {"coordinator"}


async def test_who_a_coordinator_delegates_to_is_an_executor_where_there_are_any(tmp_path: Path) -> None:
    async with played(tmp_path, model="coordinator", depth=1) as (kit, stage):
        await levels(kit, coordinator="rehearsal?fail=401", executor="rehearsal")
        await kit.publish("coordinator", {"delegate": "allow"})
        assert isinstance(await stage.say("hello"), Done)
        assert [row["level"] for row in await used(kit)] == ["executor"]


async def test_who_a_coordinator_delegates_to_is_another_one_where_nobody_said_what_executors_are(
    tmp_path: Path,
) -> None:
    async with played(tmp_path, model="coordinator", depth=1) as (kit, stage):
        await levels(kit, coordinator="rehearsal")
        await kit.publish("coordinator", {"delegate": "allow"})
        assert isinstance(await stage.say("hello"), Done)
        assert [row["level"] for row in await used(kit)] == ["coordinator"]


async def test_who_delegates_and_names_a_model_delegates_to_that_model(tmp_path: Path) -> None:
    async with played(tmp_path, depth=1) as (kit, stage):
        await levels(kit, coordinator="rehearsal?fail=401", executor="rehearsal?fail=401")
        assert isinstance(await stage.say("hello"), Done)


async def test_a_level_that_leads_nowhere_cannot_be_published(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        with pytest.raises(Exception, match="Nobody said which model the level 'coordinator' is"):
            await kit.publish("coordinator")
