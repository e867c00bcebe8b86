"""Members: given and losing roles, leaving, handing on; and that a tenant keeps an owner."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from freehold.core.errors import FreeholdError
from freehold.core.people import MemberState, Person, Role
from freehold.core.tenants import Tenant
from freehold.store.people import member_table
from freehold.tenants import members
from tests.crowd import member, person, signed_in
from tests.webs import OPERATOR, Web, bearer, client, made

AT = "/api/v1/tenants/acme"


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    return web.tenant("acme")


@pytest.fixture
def api(web: Web) -> Iterator[TestClient]:
    with client(web, None) as asking:
        yield asking


@pytest.fixture
def owner(web: Web, acme: Tenant) -> Person:
    return member(web, acme, Role.OWNER, person(web, "olive@example.com"))


def place_of(web: Web, tenant: Tenant, who: Person) -> str:
    with web.state.store.tenant(tenant.id).read() as scope:
        found = scope.members.of_person(who.id)
    assert found is not None
    return found.id


def at_once(do: Callable[[int], Any], count: int) -> list[str]:
    barrier, found = threading.Barrier(count), list[str]()

    def one(number: int) -> None:
        barrier.wait()
        try:
            found.append(do(number))
        except FreeholdError as error:
            found.append(error.code)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_two_owners_who_leave_at_once_one_stays(web: Web, acme: Tenant, owner: Person) -> None:
    other = member(web, acme, Role.OWNER)
    who = [owner, other]

    def leave(number: int) -> str:
        with web.state.store.tenant(acme.id).write() as scope:
            members.leave(scope, who[number].id, by="x", seal=web.state.seal, clock=web.clock)
        return "left"

    assert sorted(at_once(leave, 2)) == ["last_owner", "left"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "members/{own}", None),
        ("PATCH", "members/{own}", {"role": "admin"}),
        ("PATCH", "members/{own}", {"state": "suspended"}),
        ("POST", "leave", {}),
    ],
)
def test_the_last_owner_cannot_go(
    web: Web, acme: Tenant, owner: Person, api: TestClient, method: str, path: str, body: Any
) -> None:
    member(web, acme, Role.OWNER, state=MemberState.SUSPENDED)
    path = path.format(own=place_of(web, acme, owner))
    refused = api.request(method, f"{AT}/{path}", headers=signed_in(web, owner), json=body)
    assert refused.status_code == 409
    assert refused.json()["code"] == "last_owner"


def test_an_owner_that_somebody_wrote_into_the_database_does_not_count(
    web: Web, acme: Tenant, owner: Person, api: TestClient
) -> None:
    forged = member(web, acme, Role.VIEWER)
    with web.state.store.write() as platform:
        theirs = member_table.update().where(member_table.c.person == forged.id)
        platform.connection.execute(theirs.values(role=Role.OWNER))
    refused = api.post(f"{AT}/leave", headers=signed_in(web, owner))
    assert refused.json()["code"] == "last_owner"
    assert len(api.get(f"{AT}/members", headers=signed_in(web, owner)).json()["items"]) == 1
    assert api.get(AT, headers=signed_in(web, forged)).status_code == 404


def test_one_gives_and_takes_only_roles_one_reaches(web: Web, acme: Tenant, owner: Person, api: TestClient) -> None:
    admin = signed_in(web, member(web, acme, Role.ADMIN))
    viewer = place_of(web, acme, member(web, acme, Role.VIEWER))
    refusals = [
        api.post(f"{AT}/invitations", headers=admin, json={"email": "a@example.com", "role": "owner"}),
        api.patch(f"{AT}/members/{viewer}", headers=admin, json={"role": "owner"}),
        api.patch(f"{AT}/members/{place_of(web, acme, owner)}", headers=admin, json={"role": "viewer"}),
        api.delete(f"{AT}/members/{place_of(web, acme, owner)}", headers=admin),
    ]
    assert {(one.status_code, one.json()["code"]) for one in refusals} == {(403, "role_out_of_reach")}
    assert api.patch(f"{AT}/members/{viewer}", headers=admin, json={"role": "admin"}).json()["role"] == "admin"


def test_a_role_holds_from_the_next_request_on(web: Web, acme: Tenant, owner: Person, api: TestClient) -> None:
    admin = member(web, acme, Role.ADMIN)
    theirs, boss, place = signed_in(web, admin), signed_in(web, owner), place_of(web, acme, admin)
    assert api.get(f"{AT}/keys", headers=theirs).status_code == 200
    assert api.patch(f"{AT}/members/{place}", headers=boss, json={"role": "viewer"}).status_code == 200
    assert api.get(f"{AT}/keys", headers=theirs).status_code == 403
    assert api.patch(f"{AT}/members/{place}", headers=boss, json={"state": "suspended"}).status_code == 200
    assert api.get(AT, headers=theirs).status_code == 404
    assert api.patch(f"{AT}/members/{place}", headers=boss, json={"state": "active"}).status_code == 200
    assert api.get(AT, headers=theirs).status_code == 200
    assert api.delete(f"{AT}/members/{place}", headers=boss).status_code == 204
    assert api.get(AT, headers=theirs).status_code == 404


def test_ownership_is_handed_on(web: Web, acme: Tenant, owner: Person, api: TestClient) -> None:
    admin = member(web, acme, Role.ADMIN)
    done = api.post(f"{AT}/transfer", headers=signed_in(web, owner), json={"member": place_of(web, acme, admin)})
    assert done.json()["role"] == "owner"
    shown = api.get(f"{AT}/members", headers=signed_in(web, admin)).json()["items"]
    assert {one["person"]: one["role"] for one in shown} == {owner.id: "admin", admin.id: "owner"}
    assert api.post(f"{AT}/leave", headers=signed_in(web, owner)).status_code == 204


def test_an_operator_hands_on_what_the_only_owner_has(web: Web, acme: Tenant, owner: Person, api: TestClient) -> None:
    other = member(web, acme, Role.VIEWER, person(web, "next@example.com"))
    done = api.post(f"{AT}/transfer", headers=bearer(OPERATOR), json={"member": "next@example.com"})
    assert done.json()["person"] == other.id
    third = place_of(web, acme, member(web, acme, Role.OWNER))
    unclear = api.post(f"{AT}/transfer", headers=bearer(OPERATOR), json={"member": third})
    assert unclear.json()["code"] == "whose_place"


def test_only_owners_hand_on_ownership(web: Web, acme: Tenant, owner: Person, api: TestClient) -> None:
    admin = member(web, acme, Role.ADMIN)
    body = {"member": place_of(web, acme, admin)}
    assert api.post(f"{AT}/transfer", headers=signed_in(web, admin), json=body).status_code == 403


def test_the_record_says_what_was_before_and_after(web: Web, acme: Tenant, owner: Person, api: TestClient) -> None:
    place = place_of(web, acme, member(web, acme, Role.ADMIN))
    boss = signed_in(web, owner)
    api.patch(f"{AT}/members/{place}", headers=boss, json={"role": "viewer"})
    rows = api.get(f"{AT}/audit", headers=boss).json()["items"]
    (row,) = [one for one in rows if one["action"] == "member.change"]
    assert row["actor"] == f"person:{owner.id}"
    assert row["way"] == "otp"
    assert row["before"]
    assert row["after"]
    assert row["before"] != row["after"]
