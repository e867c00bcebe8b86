"""A record that cannot be written: the disk is full, and nothing is done that would have no row."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from freehold.core.effects import EffectState
from freehold.core.errors import Exhausted
from freehold.testing.providers import Receiver, receiver
from tests.disks import fill, small
from tests.gateways import SECRET, TENANT, Kit, effect, work
from tests.records import House, house
from tests.webs import served

pytestmark = pytest.mark.root

LONG = "x" * 20_000
KEY = {"scopes": ["runs:read"]}
MOST = 400
"""How many acts use up what the stores' own files still have room for."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small(tmp_path / "small", size="24m") as folder:
        yield folder


async def until_refused(act: Callable[[int], Awaitable[Any]]) -> int:
    """Act until the disk is full, and return how often it went well."""
    for number in range(MOST):
        try:
            await act(number)
        except Exhausted:
            return number
    raise AssertionError("There was room for everything.")


async def rows(home: House, action: str) -> int:
    """Return how many rows of an action both stores hold."""
    asked = text("SELECT count(*) FROM audit WHERE action = :action")
    with home.database.read() as tx:
        ours = int(tx.execute(asked, {"action": action}).scalar_one())
    return ours + await home.kit.gateway.keep.read(lambda tx: int(tx.execute(asked, {"action": action}).scalar_one()))


async def hook(kit: Kit, towards: Receiver) -> None:
    await kit.web.set_secret(TENANT, "hook", SECRET, by="key:1")
    config = {"url": towards.url}
    await kit.web.create_connection(TENANT, kind="webhook", name="out", config=config, secret="hook", by="key:1")
    await kit.publish(tools={"shell": "allow"})


def delivered(number: int) -> dict[str, Any]:
    whole = {"tenant": TENANT, "key": f"outbox/{number}", "connection": "out", "operation": "send"}
    return whole | {"arguments": {"n": number, "text": LONG}}


async def test_no_effect_leaves_without_its_row_and_it_goes_on_once_there_is_room(disk: Path) -> None:
    async with receiver() as towards, house(disk) as home:
        await hook(home.kit, towards)
        await home.kit.worker.deliver(**delivered(MOST + 10))
        filler = fill(disk)
        sent = 1 + await until_refused(lambda number: home.kit.worker.deliver(**delivered(number)))
        # The one that was refused may have been sent, with its row, where only its end could not be written.
        assert len(towards.received) - sent in {0, 1}
        assert await rows(home, "effect.open") == len(towards.received)
        before = len(towards.received)
        for number in range(MOST, MOST + 5):
            with pytest.raises(Exhausted):
                await home.kit.worker.deliver(**delivered(number))
        assert len(towards.received) == before
        assert (await home.kit.web.usage(TENANT))["rows"]
        assert await home.kit.web.audit(TENANT)
        assert (await home.kit.web.verify_audit())["ok"]
        filler.unlink()
        again = await home.kit.worker.deliver(**delivered(MOST))
        assert (again.state, len(towards.received)) == (EffectState.DONE, before + 1)
        assert (await home.kit.web.verify_audit())["ok"]


async def test_no_step_of_a_sandbox_and_no_secret_without_its_row(disk: Path) -> None:
    async with receiver() as towards, house(disk) as home:
        await hook(home.kit, towards)
        fill(disk)
        allowed = await until_refused(
            lambda number: home.kit.worker.submit(work(), effect(key=f"run_1/1/1/{number}", command=LONG))
        )
        set_ = await until_refused(lambda number: home.kit.web.set_secret(TENANT, f"s{number}", LONG, by="key:1"))
        opened = await home.kit.gateway.keep.read(
            lambda tx: int(tx.execute(text("SELECT count(*) FROM effects WHERE state = 'open'")).scalar_one())
        )
        assert await rows(home, "effect.open") == opened == allowed
        assert await rows(home, "secret.set") == set_ + 1 == len(await home.kit.web.list_secrets(TENANT))


async def test_nothing_changes_without_its_row_and_reading_goes_on(disk: Path) -> None:
    async with house(disk) as home:
        home.web.tenant("acme")
        filler = fill(disk)
        async with served(home.web) as asking:
            told = [
                (await asking.patch("/api/v1/tenants/acme", json={"language": "de" if n % 2 else "en"})).status_code
                for n in range(60)
            ]
            assert set(told) <= {200, 507}
            assert told[-1] == 507
            assert (await asking.post("/api/v1/tenants/acme/keys", json=KEY)).status_code == 507
            assert (await asking.get("/api/v1/tenants/acme")).status_code == 200
            assert (await asking.get("/api/v1/tenants/acme/keys")).json()["items"] == []
            assert (await asking.get("/api/v1/audit/verify")).json()["ok"]
            assert await rows(home, "tenant.change") == 2 * told.count(200)
            filler.unlink()
            assert (await asking.post("/api/v1/tenants/acme/keys", json=KEY)).status_code == 201
            assert (await asking.get("/api/v1/audit/verify")).json()["ok"]
