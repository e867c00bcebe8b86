"""
Effects on an API that keeps its own ledger, while the gateway dies: at most once each, and nobody is left to guess.

The worker is the real loop over a real socket; the person looks at the ledger before deciding, as the page says.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from freehold.agents.connection_tools import ConnectionTools
from freehold.agents.loop import body_of
from freehold.core.agents import Spec
from freehold.core.approvals import OUTCOME_UNKNOWN, ApprovalState
from freehold.core.effects import EffectState, Outcome, Verdict
from freehold.core.runs import WaitsFor
from freehold.failpoints import POINTS
from freehold.runs.endings import Done, Ending, Park, Question
from freehold.testing.counterpart import Heard, Tells, counterpart
from freehold.testing.gateways import Line, MemoryGateway
from freehold.testing.guests import MemoryGuest, MemorySandboxes
from freehold.testing.segments import Stage
from tests.chaos.test_http_effects import KEPT, NAMES, Here, beside
from tests.gateways import TENANT, effect, running, work

MOSTLY_LONG: Final = [point if point == "sent" else pytest.param(point, marks=pytest.mark.long) for point in POINTS]
MOST: Final = 40
"""Segments after which a story has to be over."""


class Half:
    """A scripted model, and the real gateway for all else."""

    def __init__(self, here: Here, lines: list[Line]) -> None:
        self.chat = MemoryGateway(lines).chat
        self.submit, self.settle = here.worker.submit, here.worker.settle


class Story:
    """One run, its gateway and its person, from segment to segment."""

    def __init__(self, here: Here, *tools: str) -> None:
        calls: Line = [(tool, {"path": "/items", "json": {"n": n}}) for n, tool in enumerate(tools)]
        gateway = Half(here, [calls, "All is done."])
        body = body_of(
            gateway=gateway,
            sandboxes=MemorySandboxes(MemoryGuest()),
            tools=[ConnectionTools(gateway)],
            contexts=[],
            model_attempts=1,
        )
        spec = Spec(model="rehearsal", tools=dict.fromkeys(tools, Verdict.ALLOW))
        self.here, self.stage, self.tools = here, Stage(body, spec), tools
        self.ending: Ending | None = None
        self.asked: Counter[str] = Counter()
        """How often a person was asked about each key."""
        self.allowed: Counter[str] = Counter()

    def done(self, key: str) -> int:
        """Return how often the counterpart did the effect `key`."""
        body = f'"n":{int(key.rpartition("/")[2]) - 1}}}'
        deeds = self.here.outside.done
        return sum(times for deed, times in deeds.items() if deed == key or body in deed.replace(" ", ""))

    async def goes_on(self, *, blindly: bool = False) -> None:
        """Let everything be decided that is asked, and carry the next segment out."""
        if self.ending is None:
            self.ending = await self.stage.say("go")
            return
        assert isinstance(self.ending, Park)
        for question in self.ending.questions:
            await self._decided(question, blindly=blindly)
        self.ending = await self.stage.resume(replace(self.ending, questions=()))

    async def ends(self, *, blindly: bool = False) -> None:
        """
        Go on with a gateway that lives, until the run is over.

        Then nothing was done without leave, and nothing that broke off was passed over.
        """
        async with self.here.gateway():
            for _ in range(MOST):
                if isinstance(self.ending, Done):
                    await self._holds()
                    return
                await self.goes_on(blindly=blindly)
        raise AssertionError(f"It does not end: {self.ending}")

    async def dies(self, point: str, *, blindly: bool = False) -> None:
        """Go on with a gateway that dies at `point`, if the run comes to it."""
        async with self.here.gateway(f"gateway:{point}:1") as process:
            while process.returncode is None and not isinstance(self.ending, Done):
                await self.goes_on(blindly=blindly)
                waits = isinstance(self.ending, Park) and self.ending.waits_for is WaitsFor.OUTAGE
                if waits:
                    assert await process.wait() == -9

    async def _holds(self) -> None:
        assert (await self.here.web.verify_audit())["ok"]
        rows = (await self.here.web.usage(TENANT))["rows"]
        links = await self.here.web.audit(TENANT)
        assert "open" not in {row["state"] for row in rows}
        broke_off = Counter(link["subject"] for link in links if link["action"] == "effect.unknown")
        for n, tool in enumerate(self.tools, start=1):
            key, knows = f"run_1/1/1/{n}", tool.startswith("keyed")
            assert self.done(key) <= 1 + self.allowed[key]
            assert self.done(key) == 1 or not knows
            assert self.asked[key] == (0 if knows else broke_off[key])

    async def _decided(self, question: Question, *, blindly: bool) -> None:
        assert (question.reason, question.kind) == (OUTCOME_UNKNOWN, "message")
        self.asked[question.key] += 1
        approve = blindly or not self.done(question.key)
        self.allowed[question.key] += blindly and approve
        told: dict[str, Any] = {"kind": question.kind, "attempts": question.attempts, "approve": approve, "by": "ann"}
        await self.here.web.decide(tenant=TENANT, key=question.key, hash=question.hash, **told)
        state = ApprovalState.APPROVED if approve else ApprovalState.DENIED
        self.stage.approvals.append(self.stage.decided(len(self.stage.approvals), question, state))


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with beside(tmp_path, lambda _heard: Tells(status=201)) as found:
        yield found


@pytest.mark.parametrize("point", MOSTLY_LONG)
async def test_a_person_who_looks_first_has_it_done_exactly_once(here: Here, point: str) -> None:
    story = Story(here, "plain.post")
    await story.dies(point)
    await story.ends()
    assert story.done("run_1/1/1/1") == 1
    assert story.asked["run_1/1/1/1"] == (0 if point in KEPT else 1)


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
async def test_each_attempt_that_breaks_off_needs_leave_of_its_own(here: Here, point: str) -> None:
    story = Story(here, "plain.post")
    await story.dies("intent")
    await story.dies(point)
    await story.dies(point)
    await story.ends()
    assert story.done("run_1/1/1/1") == 1


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
async def test_a_person_who_does_not_look_has_it_done_once_for_each_leave(here: Here, point: str) -> None:
    story = Story(here, "plain.post", "keyed.post")
    for _ in range(2):
        await story.dies(point, blindly=True)
    await story.ends(blindly=True)


@pytest.mark.parametrize("tool", ["plain.post", pytest.param("keyed.post", marks=pytest.mark.long)])
async def test_a_gateway_that_dies_as_it_comes_back_asks_once(here: Here, tool: str) -> None:
    story, drawn = Story(here, tool), random.Random(7)
    await story.dies("answered")
    for _ in range(3):  # whenever it is: each moment must do
        process = await here.begin()
        await asyncio.sleep(drawn.uniform(0.2, 1.2))
        process.kill()
        await process.wait()
    await story.ends()
    assert (story.done("run_1/1/1/1"), story.asked.total()) == (1, 0 if tool == "keyed.post" else 1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
async def test_whenever_it_dies_nothing_is_done_twice_and_nothing_is_passed_over(here: Here, seed: int) -> None:
    drawn = random.Random(seed)
    story = Story(here, *(f"{drawn.choice(sorted(NAMES))}.post" for _ in range(4)))
    for _ in range(drawn.randint(2, 6)):
        await story.dies(drawn.choice(POINTS))
    await story.ends()


async def test_one_leave_is_one_attempt_whoever_asks_for_it(tmp_path: Path) -> None:
    silent = iter([True, False, False])

    def answers(_heard: Heard) -> Tells:
        return Tells(status=201, silent=next(silent))

    async with counterpart(answers) as outside, running(tmp_path) as kit:
        named: dict[str, Any] = {"kind": "http", "name": "plain", "secret": None, "by": "key:1"}
        config = {"base_url": outside.url, "allow": ["POST:/items"]}
        await kit.web.create_connection(TENANT, config=config, **named)
        await kit.publish(tools={"plain.post": "allow"})
        asked = effect("post", "plain", path="/items", json={"n": 1})
        unknown = await kit.worker.submit(work(epoch=1), asked)
        decision: dict[str, Any] = {"tenant": TENANT, "key": asked.key, "hash": unknown.hash, "by": "ann"}
        await kit.web.decide(**decision, approve=True, kind="message", attempts=1)
        several = [kit.worker.submit(work(epoch=epoch), asked) for epoch in (1, 2, 2, 1, 3)]
        results = await asyncio.gather(*several, return_exceptions=True)
        later = await asyncio.gather(kit.worker.submit(work(epoch=1), asked), return_exceptions=True)
    assert unknown.state is EffectState.UNKNOWN
    assert len(outside.heard) == 2
    assert {one.state for one in results if isinstance(one, Outcome)} == {EffectState.DONE}
    refused = [one for one in [*results, *later] if not isinstance(one, Outcome)]
    assert {getattr(one, "code", "") for one in refused} == {"stale_epoch"}
