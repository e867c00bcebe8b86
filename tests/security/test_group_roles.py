"""What a provider's groups make of people, each time they come: no more than the setting says, and not for ever."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from freehold.core.people import MemberState, PlatformRole, Role
from freehold.store.ceremonies import given_role_table
from tests.crowd import member, person
from tests.sign_on import Scene, refused, staged


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with staged(tmp_path) as found:
        yield found


async def test_a_stranger_without_a_group_is_refused(scene: Scene) -> None:
    scene.provider.groups = ["visitors"]
    assert "none of your groups" in refused(await scene.come())
    with scene.web.state.store.read() as platform:
        assert platform.people.by_email("ada@example.com") is None


async def test_a_stranger_with_a_group_becomes_a_person(scene: Scene) -> None:
    acme = scene.web.tenant("acme")
    scene.provider.groups = ["acme-admins", "acme-readers"]
    ada = await scene.me()
    assert (ada.name, ada.platform_role) == ("Ada", None)
    assert scene.role(acme, ada) == "admin"
    assert "member.join" in scene.actions(acme.id)


async def test_a_role_goes_with_its_group(scene: Scene) -> None:
    acme = scene.web.tenant("acme")
    person(scene.web, "root@example.com", platform_role=PlatformRole.OPERATOR)
    scene.provider.groups = ["acme-admins", "admins"]
    assert (await scene.me()).platform_role is PlatformRole.OPERATOR
    scene.provider.groups = ["acme-readers", "auditors"]
    ada = await scene.me()
    assert (ada.platform_role, scene.role(acme, ada)) == (PlatformRole.AUDITOR, "viewer")
    scene.provider.groups = []
    ada = await scene.me()
    assert (ada.platform_role, scene.role(acme, ada)) == (None, "")
    assert scene.actions(acme.id)[-3:] == ["member.join", "member.change", "member.remove"]


async def test_a_role_that_people_gave_outlives_the_group(scene: Scene) -> None:
    acme, ada = scene.web.tenant("acme"), person(scene.web, "ada@example.com")
    member(scene.web, acme, Role.VIEWER, ada)
    scene.provider.groups = ["acme-admins"]
    assert scene.role(acme, await scene.me()) == "admin"
    scene.provider.groups = []
    assert scene.role(acme, await scene.me()) == "viewer"


async def test_the_last_owner_stays_whatever_groups_say(scene: Scene) -> None:
    acme = scene.web.tenant("acme")
    scene.provider.groups = ["acme-owners"]
    assert scene.role(acme, await scene.me()) == "owner"
    scene.provider.groups = []
    ada = await scene.me()
    assert scene.role(acme, ada) == "owner"
    member(scene.web, acme, Role.OWNER)
    assert scene.role(acme, await scene.me()) == ""


async def test_the_last_operator_stays_whatever_groups_say(scene: Scene) -> None:
    scene.provider.groups = ["admins"]
    await scene.me()
    scene.provider.groups = []
    assert (await scene.me()).platform_role is PlatformRole.OPERATOR
    assert "oidc.refuse_role" in scene.actions()
    person(scene.web, "root@example.com", platform_role=PlatformRole.OPERATOR)
    assert (await scene.me()).platform_role is None


async def test_somebody_suspended_stays_suspended(scene: Scene) -> None:
    acme, ada = scene.web.tenant("acme"), person(scene.web, "ada@example.com")
    member(scene.web, acme, Role.VIEWER, ada, state=MemberState.SUSPENDED)
    scene.provider.groups = ["acme-admins"]
    await scene.me()
    with scene.web.state.store.tenant(acme.id).read() as scope:
        found = scope.members.of_person(ada.id)
    assert found is not None
    assert found.state is MemberState.SUSPENDED


async def test_a_role_that_the_worker_wrote_for_later_is_not_given_back(scene: Scene) -> None:
    acme = scene.web.tenant("acme")
    scene.provider.groups = ["acme-readers"]
    await scene.me()
    with scene.web.state.store.write() as platform:
        platform.connection.execute(update(given_role_table).values(before="owner"))
    scene.provider.groups = []
    assert scene.role(acme, await scene.me()) == "viewer"
