"""A gateway killed under load, again and again: no call without a row, nothing charged twice, nothing for nothing."""

import asyncio
import os
import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.ledger import Entry
from tests.calling import Desk, apart, chat, gateway_process

CLIENTS = 12
KILLS = int(os.environ.get("KILLS", "25"))  # noqa: TID251 - how often `make chaos` kills
AT_ONCE = 5
"""Kills over one store."""
LIMIT = 10**12


@dataclass
class Load:
    """Clients that ask and ask, each time for a model of a name of its own."""

    desk: Desk
    chance: random.Random
    asked: int = 0
    answered: list[str] = field(default_factory=list)
    """Models whose whole answer somebody read."""
    over: bool = False

    async def client(self) -> None:
        while not self.over:
            self.asked += 1
            name, stream = f"m{self.asked}", self.chance.random() < 0.5
            spelt = f"[[words={self.chance.randint(0, 60)} tokens_in=30]]"
            body = chat(spelt, f"acct/{name}", stream=stream, max_tokens=100)
            try:
                said = await self.desk.post("/v1/chat/completions", body)
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.01)
                continue
            whole = said.status == 200 and (not stream or said.body.endswith(b"data: [DONE]\n\n"))
            if whole:
                self.answered.append(name)

    async def until_killed(self, process: asyncio.subprocess.Process, at: int) -> None:
        """Ask until the provider has been asked `at` times more, and kill the gateway in that moment."""
        self.over = False
        clients = [asyncio.create_task(self.client()) for _ in range(CLIENTS)]
        await self.desk.upstream.asked(self.desk.upstream.ledger.made + at, 60)
        await asyncio.sleep(self.chance.random() / 50)  # anywhere in the life of a call
        process.kill()
        await process.wait()
        self.over = True
        await asyncio.gather(*clients)


def rows_of(desk: Desk) -> list[dict[str, Any]]:
    """Read the meter's rows from the disk, as whoever comes later finds them."""
    with sqlite3.connect(desk.data / "gateway/gateway.db") as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("select * from usage where kind = 'model'")]


def compare(load: Load, entries: list[Entry], rows: list[dict[str, Any]]) -> None:
    """Hold what the provider billed against what was written down, call by call."""
    asked, written = Counter(entry.model for entry in entries), Counter(str(row["model"]) for row in rows)
    assert asked - written == Counter(), "a call without a row"
    assert {name: many for name, many in written.items() if many > 1} == {}, "a call with two rows"
    billed = {entry.model: entry.nano for entry in entries}
    for row in rows:
        took = billed.get(row["model"], 0)
        if row["estimated"]:
            assert row["cost_nano"] >= took
        else:
            assert row["cost_nano"] == took
    assert set(load.answered) <= set(written)


async def killed(data: Path, times: int, seed: int) -> None:
    async with apart(data, remember=10**6) as desk:
        load = Load(desk, random.Random(seed))
        async with gateway_process(desk):
            await desk.prepare()
            await desk.limit(LIMIT)
            desk.key = await desk.make_key("any", [])
        for _ in range(times):
            async with gateway_process(desk) as process:
                await load.until_killed(process, load.chance.randint(5, 120))
        async with gateway_process(desk):
            told = await desk.settled()
            record = await desk.web.verify_audit()
        rows, entries = rows_of(desk), list(desk.upstream.ledger.entries)
        compare(load, entries, rows)
        assert record["ok"]
        assert told["spent_nano"] == sum(row["charge_nano"] for row in rows)
        assert {row["state"] for row in rows} <= {"closed", "unsettled"}
        assert len(load.answered) > times


@asynccontextmanager
async def prepared(data: Path) -> AsyncIterator[Desk]:
    async with apart(data) as desk:
        async with gateway_process(desk):
            await desk.prepare()
            await desk.limit(LIMIT)
        yield desk


@pytest.mark.parametrize("point", ["intent", "sent"])
async def test_a_gateway_that_dies_around_the_dialling_charges_what_it_held(tmp_path: Path, point: str) -> None:
    async with prepared(tmp_path) as desk:
        async with gateway_process(desk, FREEHOLD_FAILPOINT=f"gateway:{point}:1") as process:
            with pytest.raises(aiohttp.ClientError):
                await desk.chat()
            assert await process.wait() == -9
        assert len(desk.upstream.ledger.entries) <= (0 if point == "intent" else 1)
        async with gateway_process(desk):
            told = await desk.settled()
        (row,) = rows_of(desk)
        assert (row["state"], row["estimated"], row["charge_nano"]) == ("unsettled", 1, row["hold_nano"])
        assert told["spent_nano"] == row["hold_nano"] >= desk.upstream.ledger.nano


async def test_a_stream_whose_gateway_dies_is_charged_what_it_held(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with prepared(tmp_path) as desk:
        desk.upstream.script.append(Act(words=30, gate=lambda number: gate.wait() if number > 5 else asyncio.sleep(0)))
        async with (
            gateway_process(desk) as process,
            desk.asking("/v1/chat/completions", chat(stream=True, max_tokens=50)) as answer,
        ):
            await answer.content.readuntil(b"\n\n")
            process.kill()
            with pytest.raises(aiohttp.ClientError):
                await answer.read()
        await desk.upstream.idle()
        async with gateway_process(desk):
            told = await desk.settled()
        (row,) = rows_of(desk)
        assert row["charge_nano"] == row["hold_nano"] == told["spent_nano"] > desk.upstream.ledger.nano > 0


async def test_a_gateway_killed_under_load_forgets_no_call(tmp_path: Path) -> None:
    await killed(tmp_path, 2, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 2 + -(-KILLS // AT_ONCE)))
async def test_a_gateway_killed_again_and_again_under_load_forgets_no_call(tmp_path: Path, seed: int) -> None:
    await killed(tmp_path, AT_ONCE, seed=seed)
