"""Whatever is asked for, set and ended in whatever order: what is allowed is just what the limits leave."""

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.catalog.tiers import UNLIMITED
from freehold.core.agents import Agent
from freehold.core.errors import Denied
from freehold.core.quotas import Quota
from freehold.core.tenants import Tenant, TierSource
from freehold.store.migrating import MIGRATIONS
from freehold.store.quotas import Tiers
from freehold.store.scope import Store
from freehold.tenants.quotas import Use, admit, admit_message, report
from freehold.testing.clock import START, FakeClock
from tests.shelves import taken

ACTS = ("agent", "say", "tomorrow", "end", "renew")


@dataclass
class Model:
    """What ought to be."""

    limit: float = 3
    agents: int = 0
    said: int = 0
    ended: bool = False

    def allows(self, used: int) -> str:
        """Return the code of the refusal of one more; empty where there is none."""
        if self.ended:
            return "tier_ended"
        return "quota_exceeded" if used + 1 > self.limit else ""


@pytest.fixture(scope="module")
def store() -> Store:
    folder = Path(tempfile.mkdtemp(prefix="quotas-"))
    return Store(taken(MIGRATIONS, folder / "freehold.db"))


@settings(max_examples=40, deadline=None)
@given(acts=st.lists(st.one_of(st.sampled_from(ACTS), st.integers(0, 4)), max_size=25))
def test_what_is_allowed_is_what_the_limits_leave(store: Store, acts: list[str | int]) -> None:
    tenant, clock, model = f"ten_{uuid4().hex}", FakeClock(), Model()
    with store.write() as platform:
        uid = platform.tenants.next_uid()
        platform.tenants.add(Tenant(id=tenant, slug=tenant, name="", uid=uid, created_at=START, tier="small"))
    put(store, tenant, model, clock)
    for n, act in enumerate(acts):
        if act == "agent":
            wanted = model.allows(model.agents)
            assert asked(store, tenant, clock, agent=f"agt_{n}") == wanted
            model.agents += not wanted
        elif act == "say":
            wanted = model.allows(model.said)
            assert asked(store, tenant, clock) == wanted
            model.said += not wanted
        elif act == "tomorrow":
            clock.wind(timedelta(days=1).total_seconds())
            model.said = 0
        else:
            model.limit = act if isinstance(act, int) else model.limit
            model.ended = act == "end" or (model.ended and act != "renew")
            put(store, tenant, model, clock)
    used = {use.quota: use for use in reported(store, tenant, clock)}
    assert (used[Quota.AGENTS].used, used[Quota.MESSAGES_PER_DAY].used) == (model.agents, model.said)
    assert used[Quota.AGENTS].over == (model.agents > model.limit)


def put(store: Store, tenant: str, model: Model, clock: FakeClock) -> None:
    with store.write() as platform:
        tiers = Tiers(platform.connection)
        limits = dict(UNLIMITED) | {Quota.AGENTS: model.limit, Quota.MESSAGES_PER_DAY: model.limit}
        tiers.put("small", limits, at=START)
        tiers.give(tenant, "small", until=clock.now() if model.ended else None, source=TierSource.OPERATOR)


def asked(store: Store, tenant: str, clock: FakeClock, *, agent: str = "") -> str:
    """Ask for an agent, or say something; return the code of the refusal, empty where there is none."""
    try:
        with store.tenant(tenant).write() as scope:
            if agent:
                admit(scope.connection, tenant, Quota.AGENTS, at=clock.now())
                scope.agents.add(Agent(id=agent, name=agent, version="ver_1", created_at=clock.now()))
            else:
                admit_message(scope.connection, tenant, at=clock.now())
    except Denied as error:
        return error.code
    return ""


def reported(store: Store, tenant: str, clock: FakeClock) -> list[Use]:
    with store.tenant(tenant).read() as scope:
        return report(scope.connection, tenant, at=clock.now())
