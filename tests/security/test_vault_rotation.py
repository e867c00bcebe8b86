"""Keys are replaced while everything goes on: nobody who reads or writes notices, and nothing is left under the old."""

import asyncio
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection as Tx
from sqlalchemy import select, update

from freehold.app.gateway_store import MIGRATIONS
from freehold.core.errors import Conflict, Denied
from freehold.gateway import ledger, mending, rotating, secrets
from freehold.gateway.data_keys import between_generations
from freehold.gateway.keeping import Keep
from freehold.gateway.manifests import RolledBack
from freehold.gateway.rotations import Progress, Rotations
from freehold.gateway.tables import effects, key_pairs, tenant_keys
from freehold.gateway.tables import secrets as secret_table
from freehold.store.db import Database, sqlite_address
from freehold.store.migrating import migrate
from freehold.vault.sealing import Vault, generation_of
from tests.gateways import TENANT, running
from tests.vaults import MANY, MASTER, fill, forget, kept, opened, put, whole

BATCH = 20
"""Less than half of what is there."""
ROOT = Path(__file__).parents[2]
READERS, WRITERS = 8, 2


def generations(keep: Keep, tenant: str = "ten_1") -> set[int]:
    """Return under which generations something is sealed."""

    def found(tx: Tx) -> set[int]:
        columns = (secret_table.c.sealed, key_pairs.c.sealed, effects.c.arguments, effects.c.outcome)
        chosen = [select(column).where(column.table.c.tenant == tenant, column.is_not(None)) for column in columns]
        return {generation_of(sealed) for one in chosen for sealed in tx.execute(one).scalars()}

    return keep._read(found)


def numbers(keep: Keep, tenant: str = "ten_1") -> list[int]:
    chosen = select(tenant_keys.c.generation).where(tenant_keys.c.tenant == tenant).order_by(tenant_keys.c.generation)
    return list(keep._read(lambda tx: tx.execute(chosen).scalars().all()))


async def reading(keep: Keep, number: int, over: asyncio.Event, counts: dict[str, int]) -> None:
    while not over.is_set():
        number = (number + 7) % MANY
        keep.remembered.clear()
        found = await keep.read(partial(secrets.opened, keep=keep, tenant="ten_1", name=f"s{number}"))
        assert found.reveal() == f"value {number}"
        key = f"run_1/1/{number % (MANY // 10)}/1"
        seen = await keep.read(partial(ledger.look, keep=keep, tenant="ten_1", key=key))
        assert seen is not None
        assert seen.outcome is not None
        counts["reads"] += 1


async def writing(keep: Keep, number: int, over: asyncio.Event, counts: dict[str, int]) -> None:
    while not over.is_set():
        number = (number + 13) % MANY
        told: dict[str, Any] = {"name": f"s{number}", "value": f"value {number}", "by": "tester"}
        await keep.write(partial(secrets.put, keep=keep, tenant="ten_1", **told))
        counts["writes"] += 1


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotating, "BATCH", BATCH)


async def test_who_reads_and_writes_notices_nothing(tmp_path: Path) -> None:
    with kept(tmp_path) as keep:
        fill(keep)
        over, counts = asyncio.Event(), {"reads": 0, "writes": 0}
        tasks = [asyncio.create_task(reading(keep, number, over, counts)) for number in range(READERS)]
        tasks += [asyncio.create_task(writing(keep, number, over, counts)) for number in range(WRITERS)]
        for _ in range(3):
            await rotating.rotate(keep, "ten_1", by="tester", done=lambda _rows: None)
        over.set()
        await asyncio.gather(*tasks)
        assert counts["reads"] > READERS
        assert counts["writes"] > WRITERS
        assert (generations(keep), numbers(keep)) == ({4}, [4])
        whole(keep)


DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from freehold.gateway import rotating
from tests.vaults import MANY, MASTER, carried_out, fill, forget, kept, opened, put, whole
rotating.BATCH = int(sys.argv[3])
left = int(sys.argv[2])
def done(rows):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
with kept(Path(sys.argv[1])) as keep:
    asyncio.run(rotating.rotate(keep, "ten_1", by="tester", done=done))
"""


@pytest.mark.parametrize("steps", [0, 2, 4])
async def test_what_was_killed_in_the_middle_opens_and_is_finished_at_the_next_start(
    tmp_path: Path, steps: int
) -> None:
    with kept(tmp_path) as keep:
        fill(keep)
    words = [sys.executable, "-c", DIES, str(tmp_path), str(steps), str(BATCH)]
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT)
    assert await process.wait() == -signal.SIGKILL
    with kept(tmp_path) as keep:
        assert numbers(keep) == [1, 2]
        whole(keep)
        await Rotations(keep, tmp_path / "master.key").resume()
        assert (generations(keep), numbers(keep)) == ({2}, [2])
        assert keep._read(between_generations) == []
        whole(keep)


async def test_what_was_put_back_is_not_made_good_by_a_fresh_key(tmp_path: Path) -> None:
    with kept(tmp_path) as keep:
        put(keep, "api", "leaked")
        older = keep._read(lambda tx: tx.execute(select(secret_table)).mappings().one())
        put(keep, "api", "fresh")
        keep.written(lambda tx: tx.execute(update(secret_table).values(dict(older))))
        with pytest.raises(RolledBack):
            await rotating.rotate(keep, "ten_1", by="tester", done=lambda _rows: None)
        forget(keep)
        with pytest.raises(RolledBack):
            opened(keep, "api")


async def test_an_older_key_and_what_was_under_it_do_not_come_back(tmp_path: Path) -> None:
    with kept(tmp_path) as keep:
        put(keep, "api", "value")
        older_key = dict(keep._read(lambda tx: tx.execute(select(tenant_keys)).mappings().one()))
        older = dict(keep._read(lambda tx: tx.execute(select(secret_table)).mappings().one()))
        await rotating.rotate(keep, "ten_1", by="tester", done=lambda _rows: None)
        keep.written(lambda tx: tx.execute(update(secret_table).values(older)))
        forget(keep)
        with pytest.raises(Denied):
            opened(keep, "api")
        keep.written(lambda tx: tx.execute(tenant_keys.insert().values(older_key)))
        with pytest.raises(RolledBack):
            opened(keep, "api")


async def test_the_older_key_is_nowhere_in_the_store_any_more(tmp_path: Path) -> None:
    with kept(tmp_path) as keep:
        fill(keep, 20)
        older = keep._read(lambda tx: tx.execute(select(tenant_keys.c.wrapped)).scalar_one())
        await rotating.rotate(keep, "ten_1", by="tester", done=lambda _rows: None)
        assert older not in everything(tmp_path)


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_who_asks_hears_how_far_it_is_and_not_of_others(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.web.set_secret(TENANT, "api", "value", by="tester")
        await kit.web.set_secret("ten_2", "api", "value", by="tester")
        kit.gateway.rotations._known["ten_2"] = Progress(running=True)
        with pytest.raises(Conflict) as told:
            await kit.web.rotate_keys("ten_2", by="tester")
        assert told.value.code == "rotation_going_on"
        assert not (await kit.web.rotation(TENANT))["running"]
        await kit.web.rotate_keys(TENANT, by="tester")
        await kit.gateway.rotations._tasks[TENANT]
        stands = await kit.web.rotation(TENANT)
        assert (stands["running"], stands["done"], stands["total"], stands["keys"]) == (False, 1, 1, 1)
        await kit.web.rotate_keys(None, by="tester", master=True)
        await kit.gateway.rotations._tasks["*"]
        assert (await kit.web.rotation(None))["keys"] == 2
        assert await kit.web.scan_secrets(None) == {"faults": [], "owners": 2}


def test_a_store_from_before_generations_is_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "before"
    folder.mkdir()
    for file in MIGRATIONS.glob("r000[12]_*.py"):
        shutil.copy(file, folder)
    database = Database(sqlite_address(tmp_path / "gateway.db"))
    migrate(database, folder, lock=tmp_path / "lock")
    vault = Vault(MASTER)
    wrapped = vault.new_key("ten_1")
    sealed = vault.sealer("ten_1", {1: wrapped}).seal(b"value", name="api", purpose="secret", version=3)
    with database.write() as tx:
        tx.exec_driver_sql("INSERT INTO tenant_keys VALUES ('ten_1', ?, 1)", (wrapped,))
        row = ("ten_1", "api", 3, sealed[4:], "tester", 1)
        tx.exec_driver_sql("INSERT INTO secrets VALUES (?, ?, ?, ?, ?, ?)", row)
    database.close()
    with kept(tmp_path) as keep:
        keep.written(lambda tx: mending.adopt(tx, keep))
        assert opened(keep, "api") == "value"
