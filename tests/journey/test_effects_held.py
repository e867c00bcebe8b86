"""What an effect is held to between the question and the answer: one connection as it was, and one truth about it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from freehold.core.effects import EffectState, Outcome
from freehold.core.errors import Conflict, Unavailable
from freehold.gateway import connections, tokens, ways
from freehold.gateway.ports import Credential
from freehold.testing.counterpart import Counterpart, Heard, Tells, counterpart
from tests.gateways import TENANT, Kit, effect, running, work

KEY = "run_1/1/1/1"
IDEMPOTENT = {"idempotency": "Idempotency-Key"}


@dataclass
class Api:
    """A connection that can be led elsewhere, and what stands at both ends."""

    kit: Kit
    first: Counterpart
    other: Counterpart
    silent: list[bool]

    async def make(self, where: Counterpart | None = None, **config: Any) -> None:
        stated = {"base_url": (where or self.first).url, "allow": ["*:/**"]} | config
        named: dict[str, Any] = {"kind": "http", "name": "api", "secret": "token", "by": "key:1"}
        await self.kit.web.create_connection(TENANT, config=stated, **named)

    async def change(self, **config: Any) -> None:
        await self.kit.web.change_connection(TENANT, "api", config=config, by="key:1")

    async def delete(self) -> None:
        await self.kit.web.delete_connection(TENANT, "api", by="key:1")

    async def ask(self, operation: str = "post", key: str = KEY) -> Outcome:
        return await self.kit.worker.submit(work(), effect(operation, "api", key, path="/items"))

    async def approve(self, outcome: Outcome) -> None:
        await self.kit.web.decide(tenant=TENANT, key=KEY, hash=outcome.hash, approve=True, by="user:1")

    @property
    def done(self) -> tuple[int, int]:
        return sum(self.first.done.values()), sum(self.other.done.values())


@asynccontextmanager
async def api(data: Path, verdict: str = "ask", *, silent: int = 0, **config: Any) -> AsyncIterator[Api]:
    left = [True] * silent

    def says(_heard: Heard) -> Tells:
        return Tells(silent=bool(left) and left.pop())

    async with counterpart(says) as first, counterpart() as other, running(data) as kit:
        made = Api(kit, first, other, left)
        await kit.web.set_secret(TENANT, "token", "sk-live-0123456789abcdef", by="key:1")
        await made.make(**config)
        await kit.publish(tools={"api.post": verdict, "api.get": verdict})
        yield made


def code(outcome: Outcome) -> str:
    return (outcome.error or {})["code"]


@pytest.mark.parametrize("change", ["made anew", "led elsewhere", "allowed more", "another secret"])
async def test_an_approval_is_good_for_the_connection_that_was_there_and_not_for_its_name(
    tmp_path: Path, change: str
) -> None:
    async with api(tmp_path) as made:
        asked = await made.ask()
        match change:
            case "made anew":
                await made.delete()
                await made.make()
            case "led elsewhere":
                await made.change(base_url=made.other.url)
            case "allowed more":
                await made.change(allow=["*:/**", "DELETE:/items"])
            case _:
                await made.kit.web.set_secret(TENANT, "theirs", "sk-live-fedcba9876543210", by="key:1")
                await made.kit.web.change_connection(TENANT, "api", config={}, secret="theirs", by="key:1")
        await made.approve(asked)
        outcomes = [await made.ask() for _ in range(2)]
    assert [(one.state, code(one)) for one in outcomes] == [(EffectState.REFUSED, "altered")] * 2
    assert made.done == (0, 0)


async def test_an_approval_outlives_a_new_value_of_the_secret(tmp_path: Path) -> None:
    async with api(tmp_path) as made:
        asked = await made.ask()
        await made.kit.web.set_secret(TENANT, "token", "sk-live-fedcba9876543210", by="key:1")
        await made.approve(asked)
        assert (await made.ask()).state is EffectState.DONE
    assert made.done == (1, 0)


async def test_an_approval_is_not_good_for_a_connection_that_came_later(tmp_path: Path) -> None:
    async with api(tmp_path) as made:
        await made.delete()
        asked = await made.ask()
        await made.make()
        await made.approve(asked)
        outcome = await made.ask()
    assert (outcome.state, code(outcome)) == (EffectState.REFUSED, "altered")
    assert made.done == (0, 0)


async def test_an_approval_is_good_for_the_account_that_was_signed_in(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        keep, drivers = kit.gateway.keep, connections.Drivers(models={}, connectors={})
        await kit.web.set_secret(TENANT, "client", "0123456789abcdef", by="key:1")
        oauth = {"preset": "github", "client_id": "ours", "client_secret": "client"}
        config = {"base_url": "https://api.github.com", "allow": ["GET:/**"], "oauth": oauth}
        await kit.web.create_connection(TENANT, kind="http", name="api", config=config, secret=None, by="key:1")

        def signed_in(account: str) -> Any:
            which: dict[str, Any] = {"owner": TENANT, "connection": "api", "scopes": (), "provider": "github.com"}
            granted = tokens.Granted(access=Credential("gho_0123456789abcdef"))
            return lambda tx: tokens.connect(tx, keep, granted=granted, account=account, by="user:1", **which)

        async def mark() -> str:
            found = await keep.read(lambda tx: connections.find(tx, drivers, tenant=TENANT, name="api"))
            assert found is not None
            return await keep.read(lambda tx: ways.mark_of(tx, found))

        marks = []
        for account in ("ann", "ann", "bob"):
            await keep.write(signed_in(account))
            marks.append(await mark())
    assert marks[0] == marks[1] != marks[2]


async def test_a_key_that_one_counterpart_knows_is_not_tried_at_another(tmp_path: Path) -> None:
    async with api(tmp_path, "allow", silent=1, **IDEMPOTENT) as made:
        with pytest.raises(Unavailable):
            await made.ask()
        await made.change(base_url=made.other.url)
        left = [await made.ask() for _ in range(2)]
        assert made.done == (1, 0)
        await made.approve(left[0])
        done = await made.ask()
    assert [(one.state, code(one), one.attempts) for one in left] == [(EffectState.UNKNOWN, "outcome_unknown", 1)] * 2
    assert done.state is EffectState.DONE
    assert made.done == (1, 1)


async def test_leave_to_do_it_once_more_is_asked_for_anew_where_the_connection_changed_since(tmp_path: Path) -> None:
    async with api(tmp_path, "allow", silent=1) as made:
        broke = await made.ask()
        await made.approve(broke)
        await made.change(base_url=made.other.url)
        asked = await made.ask()
        assert (broke.state, asked.state, made.done) == (EffectState.UNKNOWN, EffectState.UNKNOWN, (1, 0))
        await made.approve(asked)
        assert (await made.ask()).state is EffectState.DONE
    assert made.done == (1, 1)


async def test_what_may_have_happened_is_told_so_when_its_connection_is_gone(tmp_path: Path) -> None:
    async with api(tmp_path, "allow", silent=1) as made:
        await made.approve(await made.ask())
        await made.delete()
        with pytest.raises(Conflict) as told:
            await made.ask()
    assert told.value.code == "outcome_unknown"
    assert "may have happened" in told.value.message
    assert "Do not repeat it" in told.value.remedy


async def test_a_write_whose_key_is_known_is_told_as_unknown_once_it_may_have_left(tmp_path: Path) -> None:
    async with api(tmp_path, "allow", silent=1, **IDEMPOTENT) as made:
        with pytest.raises(Unavailable) as told:
            await made.ask()
        assert told.value.code == "outcome_unknown"
        assert (await made.ask()).state is EffectState.DONE
    assert made.done == (1, 0)


@pytest.mark.parametrize(("operation", "silent"), [("get", True), ("post", False)])
async def test_what_only_reads_or_never_left_is_told_as_what_it_is(
    tmp_path: Path, operation: str, *, silent: bool
) -> None:
    async with api(tmp_path, "allow", silent=9, **IDEMPOTENT) as made:
        if not silent:
            await made.change(base_url="http://127.0.0.1:1")
        with pytest.raises(Unavailable):
            await made.ask(operation)
        with pytest.raises(Unavailable) as told:
            await made.ask(operation)
    assert told.value.code != "outcome_unknown"
