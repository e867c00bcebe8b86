"""What the gateway keeps, for how long, and what it does when it cannot keep anything."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from freehold.core.effects import EffectState
from freehold.core.errors import Exhausted, FreeholdError
from freehold.drivers.connector.smtp import Smtp
from freehold.gateway import mending
from freehold.gateway.tables import effects
from freehold.testing.clock import FakeClock
from freehold.testing.providers import Says, provider
from tests.gateways import RUN, TENANT, Kit, effect, running, said, work

KEY = f"{RUN}/1/1/0"


async def swept(kit: Kit) -> int:
    return await kit.gateway.keep.write(lambda tx: mending.sweep(tx, kit.gateway.keep))


async def test_what_was_said_is_dropped_after_a_week_and_the_record_stays(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as kit:
        await kit.publish(tools={"shell": "allow"})
        await kit.worker.submit(work(), effect(command="ls"))
        await kit.worker.settle(work(), key=effect().key, state=EffectState.DONE, result={"exit": 0})
        await kit.worker.submit(work(), effect(key=f"{RUN}/1/1/2", command="sleep"))
        clock.wind(timedelta(days=6, hours=23).total_seconds())
        assert await swept(kit) == 0
        clock.wind(7200)
        assert await swept(kit) == 1
        assert await swept(kit) == 0
        rows = await kit.gateway.keep.read(lambda tx: tx.execute(select(effects).order_by(effects.c.key)).all())
        told = await kit.worker.submit(work(), effect(command="ls"))
        assert (await kit.web.verify_audit())["ok"]
    assert [(row.state, row.arguments is None, row.outcome is None) for row in rows] == [
        (EffectState.DONE, True, True),
        (EffectState.OPEN, False, True),
    ]
    assert (told.state, told.result) == (EffectState.DONE, None)


async def test_the_sweep_expires_questions_nobody_answered(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock, approval_hours=1) as kit:
        await kit.publish(tools={"delete_file": "ask"})
        await kit.worker.submit(work(), effect("delete_file"))
        clock.wind(3601)
        assert await swept(kit) == 1
        assert (await kit.actions())[-1] == "effect.expired"


async def test_a_model_reply_that_is_not_kept_any_more_says_so(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as kit:
        await kit.publish()
        await kit.worker.chat(work(), key=KEY, model="rehearsal", body=said("hello"))
        clock.wind(timedelta(days=8).total_seconds())
        await swept(kit)
        with pytest.raises(FreeholdError) as caught:
            await kit.worker.chat(work(), key=KEY, model="rehearsal", body=said("hello"))
    assert caught.value.code == "outcome_dropped"


async def test_without_its_row_in_the_record_nothing_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with provider(Says(pieces=["Hi"])) as scripted, running(tmp_path) as kit:
        config = {"base_url": scripted.base_url}
        await kit.web.create_connection(TENANT, kind="openai", name="acct", config=config, secret=None, by="key:1")
        await kit.publish("acct/m", {"mail.send": "allow"})
        guard = "CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
        await kit.gateway.keep.write(lambda tx: tx.execute(text(guard)))
        with pytest.raises(FreeholdError):
            await kit.worker.chat(work(), key=KEY, model="acct/m", body=said("hello"))
        with pytest.raises(FreeholdError):
            await kit.worker.submit(work(), effect("send", "mail", to="a@example.org", subject="s", text="t"))
        usage = await kit.web.usage(TENANT)
        assert (await kit.web.health())["ok"]
    assert scripted.requests == []
    assert "mail" not in capsys.readouterr().out
    assert usage["total"]["count"] == 0


async def test_a_full_disk_is_said_and_nothing_leaves(tmp_path: Path) -> None:
    async with provider(Says(pieces=["Hi"])) as scripted, running(tmp_path) as kit:
        config = {"base_url": scripted.base_url}
        await kit.web.create_connection(TENANT, kind="openai", name="acct", config=config, secret=None, by="key:1")
        await kit.publish("acct/m")
        await kit.gateway.keep.write(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count=1"))

        async def until_full() -> None:
            for number in range(200):
                await kit.worker.chat(work(), key=f"{RUN}/1/{number}/0", model="acct/m", body=said("hello"))

        with pytest.raises(Exhausted) as caught:
            await until_full()
        sent = len(scripted.requests)
        await kit.gateway.keep.write(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count=100000"))
        assert (await kit.worker.chat(work(), key="after", model="acct/m", body=said("hello"))).text == "Hi"
        usage = await kit.web.usage(TENANT)
        later = await kit.web.usage(TENANT, since=4_000_000_000_000)
    assert (caught.value.code, caught.value.status) == ("disk_full", 507)
    assert len(scripted.requests) == sent + 1
    assert usage["total"]["count"] == sent + 1
    assert later["total"]["count"] == 0


async def test_a_connection_deleted_meanwhile_is_a_clear_error(tmp_path: Path) -> None:
    async with provider(Says(pieces=["Hi"])) as scripted, running(tmp_path) as kit:
        config = {"base_url": scripted.base_url}
        await kit.web.create_connection(TENANT, kind="openai", name="acct", config=config, secret=None, by="key:1")
        await kit.publish("acct/m")
        await kit.web.delete_connection(TENANT, "acct", by="key:1")
        with pytest.raises(FreeholdError) as caught:
            await kit.worker.chat(work(), key=KEY, model="acct/m", body=said("hello"))
    assert caught.value.code == "unknown_model"


@pytest.mark.parametrize("url", ["http://x", "smtp://", "mail.example.org"])
def test_a_mail_address_that_cannot_be_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(FreeholdError) as caught:
        Smtp(url, "a@example.org", FakeClock())
    assert caught.value.code == "bad_setting"
