"""A gateway killed at any point: no effect twice, no call without its row, and the record whole."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from freehold.core.effects import EffectState
from freehold.core.errors import Unavailable
from freehold.failpoints import POINTS
from freehold.testing.providers import Provider, Receiver, Says, provider, receiver
from tests.gateways import AGENT, RUN, SECRET, TENANT, VERSION, effect, said, work
from tests.mortal import Mortal

MOSTLY_LONG = [point if point == "sent" else pytest.param(point, marks=pytest.mark.long) for point in POINTS]
"""The short suite kills once where it hurts most; the whole one everywhere."""
KEPT = ("stored", "acknowledged")


@dataclass(frozen=True, kw_only=True)
class Here(Mortal):
    """The other sides too."""

    hook: Receiver
    model: Provider

    async def prepare(self) -> None:
        await self.web.set_secret(TENANT, "hook", SECRET, by="key:1")
        await self.web.create_connection(
            TENANT, kind="webhook", name="out", config={"url": self.hook.url}, secret="hook", by="key:1"
        )
        await self.web.create_connection(
            TENANT, kind="openai", name="acct", config={"base_url": self.model.base_url}, secret=None, by="key:1"
        )
        tools = {"shell": "allow", "mail.send": "allow", "out.send": "allow"}
        await self.web.publish(tenant=TENANT, agent=AGENT, version=VERSION, model="acct/m", tools=tools, by="key:1")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with receiver() as hook, provider(Says(pieces=["Hi"])) as model:
        made = Here(data=tmp_path, hook=hook, model=model)
        async with made.immortal():
            await made.prepare()
        yield made
        await made.close()


@pytest.mark.parametrize("point", MOSTLY_LONG)
async def test_a_model_call_is_answered_after_a_restart_and_every_attempt_is_metered(here: Here, point: str) -> None:
    async with here.gateway(f"gateway:{point}:1") as process:
        with pytest.raises(Unavailable):
            await here.worker.chat(work(), key=f"{RUN}/1/1/0", model="acct/m", body=said("hello"))
        assert await process.wait() == -9
    async with here.gateway():
        reply = await here.worker.chat(work(), key=f"{RUN}/1/1/0", model="acct/m", body=said("hello"))
        rows = (await here.web.usage(TENANT))["rows"]
        record = await here.web.verify_audit()
    assert reply.text == "Hi"
    assert record["ok"]
    assert [row["state"] for row in rows].count("closed") == 1
    assert len(rows) >= len(here.model.requests) >= 1
    assert "open" not in {row["state"] for row in rows}


@pytest.mark.parametrize("point", MOSTLY_LONG)
async def test_a_webhook_is_sent_again_under_the_same_id(here: Here, point: str) -> None:
    asked = effect("send", "out", text="hello")
    async with here.gateway(f"gateway:{point}:1") as process:
        with pytest.raises(Unavailable):
            await here.worker.submit(work(), asked)
        assert await process.wait() == -9
    async with here.gateway():
        outcome = await here.worker.submit(work(epoch=2), asked)
        assert (await here.web.verify_audit())["ok"]
    assert outcome.state is EffectState.DONE
    assert len({headers["webhook-id"] for headers, _ in here.hook.received}) == 1


@pytest.mark.parametrize("point", MOSTLY_LONG)
async def test_what_may_have_happened_and_knows_no_keys_is_never_done_again(here: Here, point: str) -> None:
    mail = effect("send", "mail", to="a@example.org", subject="s", text="t")
    async with here.gateway(f"gateway:{point}:1") as process:
        with pytest.raises(Unavailable):
            await here.worker.submit(work(), mail)
        assert await process.wait() == -9
    async with here.gateway():
        outcomes = [await here.worker.submit(work(epoch=2), mail) for _ in range(2)]
    expected = EffectState.DONE if point in KEPT else EffectState.UNKNOWN
    assert {outcome.state for outcome in outcomes} == {expected}
    assert not any(outcome.fresh for outcome in outcomes)


async def test_what_the_sandbox_does_goes_on_without_the_gateway(here: Here) -> None:
    async with here.gateway():
        await here.worker.submit(work(), effect(command="ls"))
    async with here.gateway():
        assert (await here.worker.submit(work(), effect(command="ls"))).state is EffectState.OPEN
        await here.worker.settle(work(), key=effect().key, state=EffectState.DONE, result={"exit": 0})
        assert (await here.worker.submit(work(), effect(command="ls"))).result == {"exit": 0}
