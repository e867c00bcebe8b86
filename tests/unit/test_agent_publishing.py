"""Creating agents and versions, on a real database."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from freehold.agents.publishing import create_agent, new_version, version_id
from freehold.core.agents import Agent, Spec, Version
from freehold.core.effects import Verdict
from freehold.core.errors import Conflict, Invalid, NotFound
from freehold.core.ids import Ids
from freehold.core.tenants import Tenant
from freehold.core.tools import Told
from freehold.store.migrating import MIGRATIONS
from freehold.store.scope import Store, Tenancy
from freehold.testing.clock import START, FakeClock
from tests.shelves import taken

SPEC = Spec(model="rehearsal", instructions="Be kind.", tools={"shell": Verdict.ALLOW, "crm.add": Verdict.ASK})


class MemoryPublisher:
    """Takes note of what was published, or refuses everything."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.refuses: Invalid | None = None
        self.told: dict[str, dict[str, Told]] = {}

    async def tools_of(self, tenant: str, connections: Sequence[str]) -> Mapping[str, Mapping[str, Told]]:
        return {name: self.told[name] for name in connections if name in self.told}

    async def publish(self, *, by: str, **granted: Any) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.published.append(granted)


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Tenancy]:
    database = taken(MIGRATIONS, tmp_path / "freehold.db")
    store = Store(database)
    with store.write() as platform:
        platform.tenants.add(Tenant(id="ten_1", slug="acme", name="Acme", uid=1, created_at=START))
    yield store.tenant("ten_1")
    database.close()


@pytest.fixture
def gateway() -> MemoryPublisher:
    return MemoryPublisher()


async def create(
    acme: Tenancy, gateway: MemoryPublisher, name: str = "clerk", spec: Spec = SPEC
) -> tuple[Agent, Version]:
    clock = FakeClock()
    return await create_agent(acme, gateway, name=name, spec=spec, by="operator", ids=Ids(clock.now), clock=clock)


async def test_an_agent_begins_with_its_first_version_granted_by_the_gateway(
    acme: Tenancy, gateway: MemoryPublisher
) -> None:
    agent, version = await create(acme, gateway)
    assert (version.number, version.spec) == (1, SPEC)
    assert gateway.published == [
        {
            "tenant": "ten_1",
            "agent": agent.id,
            "version": version.id,
            "model": "rehearsal",
            "tools": {"shell": "allow", "crm.add": "ask"},
            "pins": {},
            "egress": (),
        }
    ]
    with acme.read() as scope:
        assert scope.agents.find("clerk") == agent
        assert scope.versions.find(version.id) == version


async def test_what_the_gateway_refuses_is_not_created(acme: Tenancy, gateway: MemoryPublisher) -> None:
    gateway.refuses = Invalid("There is no such model.", code="unknown_model")
    with pytest.raises(Invalid, match="no such model"):
        await create(acme, gateway)
    with acme.read() as scope, pytest.raises(NotFound):
        scope.agents.find("clerk")


@pytest.mark.parametrize("name", ["", "Clerk", "a b", "-a", "a" * 40, "ä", "a/b", "agt_1"])
async def test_a_name_that_cannot_be_one_is_refused(acme: Tenancy, gateway: MemoryPublisher, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        await create(acme, gateway, name=name)
    assert refused.value.code == "bad_name"
    assert gateway.published == []


async def test_a_name_that_is_taken_is_a_conflict(acme: Tenancy, gateway: MemoryPublisher) -> None:
    await create(acme, gateway)
    with pytest.raises(Conflict) as refused:
        await create(acme, gateway)
    assert refused.value.code == "name_taken"
    assert len(gateway.published) == 1


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (Spec(model=" "), "unknown_model"),
        (Spec(model="m", instructions="x" * 100_001), "too_large"),
        (Spec(model="m", tools={"teleport": Verdict.ALLOW}), "unknown_tool"),
        (Spec(model="m", tools={"a b.c": Verdict.ALLOW}), "unknown_tool"),
        (Spec(model="m", tools={f"c.o{n}": Verdict.ALLOW for n in range(129)}), "too_many_tools"),
    ],
)
async def test_a_configuration_that_cannot_be_one_is_refused(
    acme: Tenancy, gateway: MemoryPublisher, spec: Spec, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await create(acme, gateway, spec=spec)
    assert refused.value.code == code


async def test_new_runs_start_with_the_new_version_and_the_old_one_stays(
    acme: Tenancy, gateway: MemoryPublisher
) -> None:
    _, first = await create(acme, gateway)
    changed = Spec(model="rehearsal", instructions="Be brief.")
    agent, second = await new_version(acme, gateway, agent="clerk", spec=changed, by="operator", clock=FakeClock())
    assert (agent.version, second.number) == (second.id, 2)
    with acme.read() as scope:
        assert scope.versions.find(first.id) == first


async def test_the_same_content_again_is_the_same_version(acme: Tenancy, gateway: MemoryPublisher) -> None:
    agent, first = await create(acme, gateway)
    other = Spec(model="rehearsal", instructions="Be brief.")
    await new_version(acme, gateway, agent="clerk", spec=other, by="operator", clock=FakeClock())
    back, again = await new_version(acme, gateway, agent="clerk", spec=SPEC, by="operator", clock=FakeClock())
    assert again == first
    assert back.version == first.id
    assert version_id(agent.id, SPEC) == first.id


def test_the_order_of_tools_does_not_matter_but_whose_version_it_is_does() -> None:
    turned = Spec(model=SPEC.model, instructions=SPEC.instructions, tools=dict(reversed(SPEC.tools.items())))
    assert version_id("agt_1", SPEC) == version_id("agt_1", turned)
    assert version_id("agt_1", SPEC) != version_id("agt_2", SPEC)
    assert version_id("agt_1", SPEC).startswith("ver_")
