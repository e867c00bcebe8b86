"""Quotas between processes: web and worker, or several of each, want the last place at the same moment."""

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from freehold.catalog.tiers import UNLIMITED
from freehold.core.agents import Agent
from freehold.core.errors import Denied
from freehold.core.quotas import Quota
from freehold.core.tenants import Tenant, TierSource
from freehold.store.db import Database, sqlite_address
from freehold.store.migrating import MIGRATIONS
from freehold.store.quotas import Tiers
from freehold.store.scope import Store
from freehold.tenants.quotas import admit, admit_message, report
from freehold.testing.clock import START
from tests.shelves import taken

PROCESSES, EACH, LIMIT = 4, 10, 7
TENANT = "ten_1"


def ask(folder: str, name: str, quota: str, barrier: Barrier, told: Any) -> None:
    """Want some of what is limited, with a database of our own, and tell how often we got it."""
    store, got = Store(Database(sqlite_address(Path(folder) / "freehold.db"))), 0
    barrier.wait(30)
    for number in range(EACH):
        try:
            with store.tenant(TENANT).write() as scope:
                if quota == "agents":
                    admit(scope.connection, TENANT, Quota.AGENTS, at=START)
                    agent = f"agt_{name}_{number}"
                    scope.agents.add(Agent(id=agent, name=agent, version="ver_1", created_at=START))
                else:
                    admit_message(scope.connection, TENANT, at=START)
        except Denied:
            continue
        got += 1
    told.put(got)


@pytest.mark.parametrize(
    ("quota", "counted"),
    [("agents", Quota.AGENTS), pytest.param("messages", Quota.MESSAGES_PER_DAY, marks=pytest.mark.long)],
)
def test_processes_get_just_the_places_there_are(tmp_path: Path, quota: str, counted: Quota) -> None:
    database = taken(MIGRATIONS, tmp_path / "freehold.db")
    store = Store(database)
    with store.write() as platform:
        platform.tenants.add(Tenant(id=TENANT, slug="acme", name="", uid=1, created_at=START, tier="small"))
        Tiers(platform.connection).put("small", dict(UNLIMITED) | {counted: float(LIMIT)}, at=START)
        Tiers(platform.connection).give(TENANT, "small", until=None, source=TierSource.OPERATOR)
    spawning = multiprocessing.get_context("spawn")
    barrier, told = spawning.Barrier(PROCESSES), spawning.Queue()
    wanted = [
        spawning.Process(target=ask, args=(str(tmp_path), f"p{number}", quota, barrier, told))
        for number in range(PROCESSES)
    ]
    for process in wanted:
        process.start()
    got = [told.get(timeout=60) for _ in wanted]
    for process in wanted:
        process.join(30)
    with store.tenant(TENANT).read() as scope:
        used = {use.quota: use.used for use in report(scope.connection, TENANT, at=START)}
    assert sum(got) == LIMIT == used[counted]
