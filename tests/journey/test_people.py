"""People, as operators see them: made, changed, closed; and that somebody can always operate the platform."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from freehold.core.people import Person, PersonState, PlatformRole
from freehold.core.tenants import Caller
from freehold.store.people import person_table
from tests.crowd import person, signed_in
from tests.webs import OPERATOR, Web, bearer, client, made

PEOPLE = "/api/v1/people"
TENANTS = "/api/v1/tenants"


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def api(web: Web) -> Iterator[TestClient]:
    with client(web, None) as asking:
        yield asking


@pytest.fixture
def boss(web: Web) -> dict[str, str]:
    return signed_in(web, person(web, "boss@example.com", platform_role=PlatformRole.OPERATOR))


def test_an_operator_lets_somebody_sign_in(api: TestClient, boss: dict[str, str]) -> None:
    made = api.post(PEOPLE, headers=boss, json={"email": " Ada@EXAMPLE.com", "name": "Ada  Lovelace"})
    assert made.status_code == 201, made.text
    assert made.json()["email"] == "ada@example.com"
    assert made.json()["name"] == "Ada Lovelace"
    for name in (made.json()["id"], "ADA@example.com"):
        assert api.get(f"{PEOPLE}/{name}", headers=boss).json() == made.json()
    again = api.post(PEOPLE, headers=boss, json={"email": "ada@example.com"})
    assert again.json()["code"] == "email_taken"


def test_what_is_left_out_stays_and_null_takes_a_role_away(api: TestClient, boss: dict[str, str]) -> None:
    body = {"email": "ada@example.com", "name": "Ada", "platform_role": "auditor", "allowance": 3}
    made = api.post(PEOPLE, headers=boss, json=body).json()
    at = f"{PEOPLE}/{made['id']}"
    assert api.patch(at, headers=boss, json={"name": "A."}).json() == made | {"name": "A."}
    assert api.patch(at, headers=boss, json={"platform_role": None}).json()["platform_role"] is None


def test_who_is_closed_is_signed_out_and_can_be_let_in_again(web: Web, api: TestClient, boss: dict[str, str]) -> None:
    ada = person(web, "ada@example.com", platform_role=PlatformRole.AUDITOR)
    theirs = signed_in(web, ada)
    assert api.get("/api/v1/tenants", headers=theirs).status_code == 200
    assert api.patch(f"{PEOPLE}/{ada.id}", headers=boss, json={"state": "closed"}).json()["state"] == "closed"
    assert api.get("/api/v1/tenants", headers=theirs).status_code == 401
    assert api.patch(f"{PEOPLE}/{ada.id}", headers=boss, json={"state": "active"}).is_success
    assert api.get("/api/v1/tenants", headers=theirs).status_code == 401
    assert api.get("/api/v1/tenants", headers=signed_in(web, ada)).status_code == 200


@pytest.mark.parametrize("body", [{"platform_role": "auditor"}, {"platform_role": None}, {"state": "closed"}])
def test_the_last_operator_stays(web: Web, api: TestClient, boss: dict[str, str], body: dict[str, Any]) -> None:
    person(web, "closed@example.com", platform_role=PlatformRole.OPERATOR, state=PersonState.CLOSED)
    forged = person(web, "forged@example.com")
    with web.state.store.write() as platform:
        theirs = person_table.update().where(person_table.c.id == forged.id)
        platform.connection.execute(theirs.values(platform_role=PlatformRole.OPERATOR))
    refused = api.patch(f"{PEOPLE}/boss@example.com", headers=boss, json=body)
    assert refused.status_code == 409
    assert refused.json()["code"] == "last_operator"
    assert api.patch(f"{PEOPLE}/boss@example.com", headers=bearer(OPERATOR), json=body).status_code == 200


def test_a_key_for_people_makes_no_operator_and_unmakes_none(web: Web, api: TestClient, boss: dict[str, str]) -> None:
    key = bearer(web.key(None, "people:admin"))
    refusals = [
        api.post(PEOPLE, headers=key, json={"email": "eve@example.com", "platform_role": "operator"}),
        api.post(PEOPLE, headers=key, json={"email": "eve@example.com", "allowance": 1}),
        api.patch(f"{PEOPLE}/boss@example.com", headers=key, json={"state": "closed"}),
        api.patch(f"{PEOPLE}/boss@example.com", headers=key, json={"name": "x"}),
    ]
    assert {(one.status_code, one.json()["code"]) for one in refusals} == {(403, "role_out_of_reach")}
    assert api.post(PEOPLE, headers=key, json={"email": "ada@example.com"}).status_code == 201


def test_somebody_whom_another_process_wrote_down_is_not_there(web: Web, api: TestClient, boss: dict[str, str]) -> None:
    eve = person(web, "eve@example.com")
    with web.state.store.write() as platform:
        theirs = person_table.update().where(person_table.c.id == eve.id)
        platform.connection.execute(theirs.values(platform_role=PlatformRole.OPERATOR))
    assert api.get(f"{PEOPLE}/{eve.id}", headers=boss).status_code == 404
    assert eve.id not in {one["id"] for one in api.get(PEOPLE, headers=boss).json()["items"]}
    assert api.get(PEOPLE, headers=signed_in(web, eve)).status_code == 401


def agency(web: Web, allowance: int) -> tuple[Person, dict[str, str]]:
    who = person(web, allowance=allowance)
    return who, signed_in(web, who)


def test_a_provisioner_creates_tenants_of_their_own_and_no_more_than_allowed(web: Web, api: TestClient) -> None:
    who, theirs = agency(web, 2)
    made = [api.post(TENANTS, headers=theirs, json={"slug": slug}) for slug in ("one", "two", "three")]
    assert [one.status_code for one in made] == [201, 201, 403]
    problem = made[2].json()
    assert {name: problem[name] for name in ("code", "quota", "limit", "used")} == {
        "code": "quota_exceeded",
        "quota": "tenants",
        "limit": 2,
        "used": 2,
    }
    (place,) = api.get(f"{TENANTS}/one/members", headers=theirs).json()["items"]
    assert (place["person"], place["role"]) == (who.id, "owner")
    assert [one["slug"] for one in api.get(TENANTS, headers=theirs).json()["items"]] == ["one", "two"]


def test_a_deleted_tenant_gives_its_place_in_the_allowance_back(web: Web, api: TestClient) -> None:
    _, theirs = agency(web, 1)
    assert api.post(TENANTS, headers=theirs, json={"slug": "one"}).status_code == 201
    assert api.post(TENANTS, headers=theirs, json={"slug": "two"}).status_code == 403
    assert api.delete(f"{TENANTS}/one?confirm=one", headers=theirs).is_success
    assert api.post(TENANTS, headers=theirs, json={"slug": "two"}).status_code == 201


def test_nobody_without_an_allowance_creates_a_tenant(web: Web, api: TestClient) -> None:
    _, theirs = agency(web, 0)
    assert api.post(TENANTS, headers=theirs, json={"slug": "one"}).status_code == 403


def test_a_key_counts_against_whoever_made_it(web: Web, api: TestClient, boss: dict[str, str]) -> None:
    who, theirs = agency(web, 1)
    assert api.post(TENANTS, headers=theirs, json={"slug": "one"}).status_code == 201
    maker = Caller(actor=f"person:{who.id}", person=who.id, platform=frozenset({"provisioning:write"}))
    key = bearer(web.key(None, "provisioning:write", creator=maker))
    assert api.post(TENANTS, headers=key, json={"slug": "two"}).json()["code"] == "quota_exceeded"
    operators = bearer(web.key(None, "provisioning:write"))
    assert api.post(TENANTS, headers=operators, json={"slug": "two"}).status_code == 201
    api.patch(f"{PEOPLE}/{who.id}", headers=boss, json={"state": "closed"})
    assert api.post(TENANTS, headers=key, json={"slug": "three"}).json()["code"] == "missing_scope"


def test_provisioners_are_not_shown_what_others_asked_for(web: Web, api: TestClient) -> None:
    body, same = {"slug": "one"}, {"Idempotency-Key": "k"}
    first, second = agency(web, 1)[1], agency(web, 1)[1]
    assert api.post(TENANTS, headers=first | same, json=body).status_code == 201
    assert api.post(TENANTS, headers=first | same, json=body).status_code == 201
    assert api.post(TENANTS, headers=second | same, json=body).json()["code"] == "slug_taken"


def test_of_many_at_once_no_more_than_allowed_are_made(web: Web, api: TestClient) -> None:
    theirs = agency(web, 3)[1]

    def create(number: int) -> int:
        return int(api.post(TENANTS, headers=theirs, json={"slug": f"t-{number}"}).status_code)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [201] * 3 + [403] * 5
