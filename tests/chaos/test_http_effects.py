"""A gateway killed between an API and its answer: what is done is done once, or nobody says that it was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from freehold.core.effects import EffectState, Outcome
from freehold.core.errors import Conflict, Unavailable
from freehold.failpoints import POINTS
from freehold.testing.counterpart import Answers, Counterpart, Heard, Tells, counterpart
from tests.gateways import AGENT, RUN, TENANT, VERSION, effect, running, work
from tests.mortal import Mortal

SENT: Final = ("sent", "answered", "stored", "acknowledged")
"""Points behind which the counterpart may have done it."""
KEPT: Final = ("stored", "acknowledged")
MOSTLY_LONG: Final = [point if point == "answered" else pytest.param(point, marks=pytest.mark.long) for point in POINTS]
NAMES: Final = {"plain": None, "keyed": "Idempotency-Key"}


@dataclass(frozen=True, kw_only=True)
class Here(Mortal):
    """An API outside too."""

    outside: Counterpart

    async def prepare(self) -> None:
        await self.web.set_secret(TENANT, "token", "sk-0123456789abcdef", by="key:1")
        for name, header in NAMES.items():
            config: dict[str, Any] = {"base_url": self.outside.url, "allow": ["POST:/items", "GET:/items/*"]}
            config |= {"idempotency": header} if header else {}
            named: dict[str, Any] = {"kind": "http", "name": name, "secret": "token", "by": "key:1"}
            await self.web.create_connection(TENANT, config=config, **named)
        tools = {f"{name}.{operation}": "allow" for name in NAMES for operation in ("get", "post")}
        named = {"tenant": TENANT, "agent": AGENT, "version": VERSION, "model": "rehearsal", "by": "key:1"}
        await self.web.publish(tools=tools, **named)

    async def killed(self, point: str, asked: Any) -> None:
        """Ask, and see the gateway die at `point`."""
        async with self.gateway(f"gateway:{point}:1") as process:
            with pytest.raises(Unavailable):
                await self.worker.submit(work(), asked)
            assert await process.wait() == -9

    async def after(self, asked: Any) -> tuple[list[Outcome], list[str]]:
        """Ask again, twice, as the worker that took the run over; return the outcomes and how the usage stands."""
        async with self.gateway():
            outcomes = [await self.worker.submit(work(epoch=2), asked) for _ in range(2)]
            assert (await self.web.verify_audit())["ok"]
            rows = (await self.web.usage(TENANT))["rows"]
        return outcomes, sorted(row["state"] for row in rows)


@asynccontextmanager
async def beside(data: Path, answers: Answers) -> AsyncIterator[Here]:
    async with counterpart(answers) as outside:
        made = Here(data=data, outside=outside)
        async with made.immortal():
            await made.prepare()
        yield made
        await made.close()


def made(_heard: Heard) -> Tells:
    return Tells(status=201, headers={"Content-Type": "application/json"}, pieces=[b'{"id": 7}'])


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with beside(tmp_path, made) as found:
        yield found


@pytest.mark.parametrize("point", MOSTLY_LONG)
async def test_an_api_that_knows_keys_does_it_once_and_the_run_is_told(here: Here, point: str) -> None:
    asked = effect("post", "keyed", path="/items", json={"name": "a"})
    await here.killed(point, asked)
    outcomes, usage = await here.after(asked)
    assert here.outside.done == {asked.key: 1}
    assert {one.state for one in outcomes} == {EffectState.DONE}
    assert (outcomes[0].result or {})["json"] == {"id": 7}
    assert "open" not in usage
    assert len(here.outside.heard) <= len(usage) == (1 if point in KEPT else 2)


@pytest.mark.parametrize("point", MOSTLY_LONG)
async def test_an_api_that_knows_no_keys_is_never_asked_twice(here: Here, point: str) -> None:
    asked = effect("post", "plain", path="/items", json={"name": "a"})
    await here.killed(point, asked)
    outcomes, usage = await here.after(asked)
    assert sum(here.outside.done.values()) == len(here.outside.heard) == (1 if point in SENT else 0)
    assert {one.state for one in outcomes} == {EffectState.DONE if point in KEPT else EffectState.UNKNOWN}
    assert not any(one.fresh for one in outcomes)
    assert usage == ["closed" if point in KEPT else "unsettled"]


@pytest.mark.parametrize("point", MOSTLY_LONG)
async def test_what_only_reads_is_asked_again(here: Here, point: str) -> None:
    asked = effect("get", "plain", path="/items/7")
    await here.killed(point, asked)
    outcomes, usage = await here.after(asked)
    assert {one.state for one in outcomes} == {EffectState.DONE}
    assert "open" not in usage


async def test_a_worker_that_was_taken_over_does_nothing_any_more(tmp_path: Path) -> None:
    goes, gone = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        goes.set()
        await gone.wait()

    async with counterpart(lambda _heard: Tells(status=201, before=waits)) as outside, running(tmp_path) as kit:
        config = {"base_url": outside.url, "allow": ["POST:/items"]}
        named: dict[str, Any] = {"kind": "http", "name": "plain", "secret": None, "by": "key:1"}
        await kit.web.create_connection(TENANT, config=config, **named)
        await kit.publish(tools={"plain.post": "allow"})
        asked = effect("post", "plain", path="/items", json={"n": 1})
        first = asyncio.create_task(kit.worker.submit(work(epoch=1), asked))
        await goes.wait()
        taken_over = asyncio.create_task(kit.worker.submit(work(epoch=2), asked))
        later = effect("post", "plain", key=f"{RUN}/1/2/1", path="/items", json={"n": 2})
        while True:  # until the new owner is known
            try:
                await kit.worker.submit(work(epoch=1), effect("post", "plain", key=f"{RUN}/9/9/9", path="/no"))
            except Conflict as error:
                assert error.code == "stale_epoch"  # noqa: PT017 - it may take some tries
                break
        with pytest.raises(Conflict):
            await kit.worker.submit(work(epoch=1), later)
        gone.set()
        results = await asyncio.gather(first, taken_over, return_exceptions=True)
        usage = await kit.web.usage(TENANT)
    assert len(outside.heard) == 1
    assert {one.state for one in results if isinstance(one, Outcome)} == {EffectState.DONE}
    assert "open" not in {row["state"] for row in usage["rows"]}
