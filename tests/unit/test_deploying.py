"""Deploying, sharing and rolling back, on a real database."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from freehold.agents.deploying import deploy, roll_back
from freehold.audit.database import table as audit_table
from freehold.core.agents import Agent, Spec, Version
from freehold.core.errors import Conflict, Invalid, NotFound
from freehold.core.tenants import Tenant
from freehold.store.agents import deployment_table
from freehold.store.migrating import MIGRATIONS
from freehold.store.scope import Scope, Store
from freehold.testing.clock import START
from tests.shelves import taken


@pytest.fixture
def scope(tmp_path: Path) -> Iterator[Scope]:
    """Give an agent with four versions, the first of which is deployed."""
    database = taken(MIGRATIONS, tmp_path / "freehold.db")
    store = Store(database)
    with store.write() as platform:
        platform.tenants.add(Tenant(id="ten_1", slug="acme", name="Acme", uid=1, created_at=START))
    with store.tenant("ten_1").write() as scope:
        for name in ("clerk", "other"):
            scope.agents.add(Agent(id=f"agt_{name}", name=name, version=f"ver_{name}1", created_at=START))
            for number in range(1, 5):
                spec = Spec(model="rehearsal", instructions=str(number))
                made = Version(
                    id=f"ver_{name}{number}", agent=f"agt_{name}", number=number, spec=spec, created_at=START
                )
                scope.versions.add(made)
        yield scope
    database.close()


def go(scope: Scope, version: str, share: int | None = None) -> Agent:
    return deploy(scope, agent="clerk", version=version, share=share, by="operator", at=START)


def back(scope: Scope) -> Agent:
    return roll_back(scope, agent="clerk", by="operator", at=START)


def test_a_version_is_deployed_by_its_number_or_its_id(scope: Scope) -> None:
    assert go(scope, "2").version == "ver_clerk2"
    assert go(scope, "ver_clerk3").version == "ver_clerk3"
    assert scope.agents.find("clerk").version == "ver_clerk3"
    assert scope.agents.find("other").version == "ver_other1"


@pytest.mark.parametrize("version", ["5", "0", "-1", "²", "ver_none", "ver_other2", "", "02"])
def test_what_the_agent_has_no_such_version_of_is_not_there(scope: Scope, version: str) -> None:
    with pytest.raises(NotFound) as refused:
        go(scope, version)
    assert refused.value.remedy
    assert scope.agents.find("clerk").version == "ver_clerk1"


def test_rolling_back_goes_through_all_of_history_one_step_at_a_time(scope: Scope) -> None:
    for version in "243":
        go(scope, version)
    assert [back(scope).version[-1] for _ in range(3)] == ["4", "2", "1"]
    with pytest.raises(Conflict) as refused:
        back(scope)
    assert refused.value.code == "nothing_before"
    assert "freehold agent versions clerk" in refused.value.remedy
    assert scope.agents.find("clerk").version == "ver_clerk1"


def test_what_is_deployed_after_rolling_back_stands_on_what_was_gone_back_to(scope: Scope) -> None:
    for version in "23":
        go(scope, version)
    back(scope)
    go(scope, "4")
    assert [back(scope).version[-1] for _ in range(2)] == ["2", "1"]


def test_nothing_of_history_is_deleted(scope: Scope) -> None:
    for version in "234":
        go(scope, version)
    for _ in range(3):
        back(scope)
    rows = scope.connection.execute(select(deployment_table).where(deployment_table.c.agent == "agt_clerk")).all()
    assert [(row.number, row.version[-1], row.before) for row in rows] == [
        (1, "1", None),
        (2, "2", 1),
        (3, "3", 2),
        (4, "4", 3),
    ]
    assert len(scope.versions.of("agt_clerk")) == 4


def test_deploying_what_is_deployed_is_no_step(scope: Scope) -> None:
    go(scope, "2")
    go(scope, "2")
    assert back(scope).version == "ver_clerk1"


def test_a_share_tries_a_version_and_the_others_stay(scope: Scope) -> None:
    agent = go(scope, "2", 10)
    assert (agent.version, agent.trial, agent.share) == ("ver_clerk1", "ver_clerk2", 10)
    assert [agent.share_of(f"ver_clerk{number}") for number in (1, 2, 3)] == [90, 10, 0]
    assert scope.agents.find("clerk") == agent
    assert go(scope, "2", 50).share == 50
    assert go(scope, "3", 1).trial == "ver_clerk3"


def test_deploying_without_a_share_ends_it(scope: Scope) -> None:
    go(scope, "2", 10)
    assert go(scope, "2").share_of("ver_clerk2") == 100
    go(scope, "3", 10)
    assert go(scope, "2").share_of("ver_clerk2") == 100


def test_rolling_back_gives_up_what_is_tried_and_goes_no_further(scope: Scope) -> None:
    go(scope, "2")
    go(scope, "3", 10)
    agent = back(scope)
    assert (agent.version, agent.trial, agent.share) == ("ver_clerk2", None, 0)
    assert back(scope).version == "ver_clerk1"


@pytest.mark.parametrize("share", [-1, 0, 100, 1000])
def test_a_share_is_some_and_not_all(scope: Scope, share: int) -> None:
    with pytest.raises(Invalid) as refused:
        go(scope, "2", share)
    assert refused.value.code == "bad_share"
    assert scope.agents.find("clerk").trial is None


def test_what_all_start_with_is_not_tried_by_some(scope: Scope) -> None:
    with pytest.raises(Conflict) as refused:
        go(scope, "1", 10)
    assert refused.value.code == "deployed_already"


def test_each_act_is_in_the_record_with_what_was_and_what_is(scope: Scope) -> None:
    go(scope, "2")
    go(scope, "3", 10)
    back(scope)
    back(scope)
    rows = scope.connection.execute(select(audit_table).order_by(audit_table.c.position)).mappings().all()
    told = [(row["action"], row["actor"], row["subject"]) for row in rows]
    assert told == [(f"agent.{act}", "operator", "agt_clerk") for act in ("deploy", "deploy", "rollback", "rollback")]
    assert (rows[0]["before"], rows[0]["after"]) == ("ver_clerk1", "ver_clerk2")
    assert json.loads(rows[1]["detail"]) == {
        "name": "clerk",
        "version": "ver_clerk2",
        "trial": "ver_clerk3",
        "share": 10,
    }
    assert (rows[2]["after"], rows[3]["after"]) == ("ver_clerk2", "ver_clerk1")
    assert [row["after"] for row in rows[:-1]] == [row["before"] for row in rows[1:]]
    assert len({row["before"] for row in rows[:3]}) == 3
