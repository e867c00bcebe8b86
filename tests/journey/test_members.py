"""Members: invited by a link, given and losing roles, leaving; and that a tenant keeps an owner."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from freehold.core.errors import Conflict, FreeholdError, NotFound
from freehold.core.people import MemberState, Person, Role
from freehold.core.tenants import Tenant
from freehold.store.people import invitation_table, member_table
from freehold.tenants import inviting, members
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


def invited(api: TestClient, who: dict[str, str], email: str, role: str = "member") -> dict[str, Any]:
    answer = api.post(f"{AT}/invitations", headers=who, json={"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def token_in(text: str) -> str:
    return text.partition("/invite/")[2].split()[0]


def place_of(web: Web, tenant: Tenant, who: Person) -> str:
    with web.state.store.tenant(tenant.id).read() as scope:
        found = scope.members.of_person(who.id)
    assert found is not None
    return found.id


def accepted(web: Web, token: str, who: Person | None = None) -> inviting.Accepted:
    with web.state.store.write() as platform:
        return inviting.accept(platform, token, person=who, seal=web.state.seal, ids=web.state.ids, clock=web.clock)


def test_somebody_is_invited_signs_in_and_is_a_member(web: Web, acme: Tenant, owner: Person, api: TestClient) -> None:
    boss = signed_in(web, owner)
    made = invited(api, boss, "Ada@Example.com")
    assert made["email"] == "ada@example.com"
    assert made["link"].startswith("http://127.0.0.1:7070/invite/")
    ada = person(web, "ada@example.com")
    token = token_in(made["link"])
    taken = api.post("/api/v1/invitations/accept", headers=signed_in(web, ada), json={"token": token})
    assert taken.status_code == 200, taken.text
    assert taken.json()["slug"] == "acme"
    assert taken.json()["role"] == "member"
    shown = api.get(f"{AT}/members", headers=signed_in(web, ada)).json()["items"]
    assert [(one["email"], one["role"]) for one in shown] == [
        ("olive@example.com", "owner"),
        ("ada@example.com", "member"),
    ]


def test_an_invitation_is_mailed_and_its_mail_alone_proves_who_reads_it(
    web: Web, acme: Tenant, owner: Person, api: TestClient
) -> None:
    made = invited(api, signed_in(web, owner), "ada@example.com")
    (mail,) = web.gateway.mails
    assert mail["to"] == "ada@example.com"
    mailed, shown = token_in(mail["text"]), token_in(made["link"])
    assert mailed.startswith(shown)
    with web.state.store.read() as platform:
        proofs = [
            inviting.offer(platform, token, seal=web.state.seal, at=web.clock.now()).proven for token in (mailed, shown)
        ]
    assert proofs == [True, False]
    assert accepted(web, mailed).proven is True


def test_an_inviter_cannot_be_signed_in_as_whom_they_invite(
    web: Web, acme: Tenant, owner: Person, api: TestClient
) -> None:
    person(web, "ops@example.com")
    made = invited(api, signed_in(web, owner), "ops@example.com")
    token = token_in(made["link"])
    with pytest.raises(NotFound):
        accepted(web, f"{token}.{'0' * 64}")
    assert accepted(web, token).proven is False


def test_whoever_is_not_known_is_made_known_and_known_people_are_not_made_twice(
    web: Web, acme: Tenant, owner: Person, api: TestClient
) -> None:
    known = person(web, "ada@example.com")
    boss = signed_in(web, owner)
    answers = [invited(api, boss, email) for email in ("ada@example.com", "bob@example.com")]
    assert answers[0].keys() == answers[1].keys()
    ada, bob = (accepted(web, token_in(answer["link"])) for answer in answers)
    assert ada.person == known
    assert bob.person.email == "bob@example.com"


def test_an_invitation_is_for_one_address(web: Web, acme: Tenant, owner: Person, api: TestClient) -> None:
    token = token_in(invited(api, signed_in(web, owner), "ada@example.com")["link"])
    eve = signed_in(web, person(web, "eve@example.com"))
    refused = api.post("/api/v1/invitations/accept", headers=eve, json={"token": token})
    assert refused.status_code == 403
    assert refused.json()["code"] == "other_address"
    assert accepted(web, token).person.email == "ada@example.com"


@pytest.mark.parametrize("end", ["used", "revoked", "expired"])
def test_an_invitation_that_is_over_says_so(web: Web, acme: Tenant, owner: Person, api: TestClient, end: str) -> None:
    boss = signed_in(web, owner)
    made = invited(api, boss, "ada@example.com")
    token = token_in(made["link"])
    if end == "used":
        accepted(web, token)
    elif end == "revoked":
        assert api.delete(f"{AT}/invitations/{made['id']}", headers=boss).status_code == 204
    else:
        web.clock.wind(7 * 86_400)
    with pytest.raises(Conflict) as refused:
        accepted(web, token)
    assert refused.value.code == f"invitation_{end}"


def test_a_later_invitation_takes_the_place_of_an_earlier_one(
    web: Web, acme: Tenant, owner: Person, api: TestClient
) -> None:
    boss = signed_in(web, owner)
    first, second = (invited(api, boss, "ada@example.com", role) for role in ("admin", "viewer"))
    with pytest.raises(Conflict) as refused:
        accepted(web, token_in(first["link"]))
    assert refused.value.code == "invitation_revoked"
    assert accepted(web, token_in(second["link"])).member.role is Role.VIEWER


def test_a_member_is_not_invited_again(web: Web, acme: Tenant, owner: Person, api: TestClient) -> None:
    refused = api.post(f"{AT}/invitations", headers=signed_in(web, owner), json={"email": "olive@example.com"})
    assert refused.status_code == 409
    assert refused.json()["code"] == "member_already"


def test_invitations_are_no_flood_of_mail(web: Web, acme: Tenant, owner: Person, api: TestClient) -> None:
    boss = signed_in(web, owner)
    for number in range(inviting.MOST_AN_HOUR):
        invited(api, boss, f"p{number}@example.com")
    refused = api.post(f"{AT}/invitations", headers=boss, json={"email": "last@example.com"})
    assert refused.status_code == 429
    assert refused.json()["code"] == "too_many_invitations"
    assert int(refused.headers["Retry-After"]) <= 3600
    web.clock.wind(3601)
    invited(api, boss, "last@example.com")


def test_of_two_who_accept_at_once_one_does(web: Web, acme: Tenant, owner: Person, api: TestClient) -> None:
    token = token_in(invited(api, signed_in(web, owner), "ada@example.com")["link"])
    assert sorted(at_once(lambda _: accepted(web, token) and "done", 6)) == ["done"] + ["invitation_used"] * 5


def test_of_two_owners_who_leave_at_once_one_stays(web: Web, acme: Tenant, owner: Person) -> None:
    other = member(web, acme, Role.OWNER)
    who = [owner, other]

    def leave(number: int) -> str:
        with web.state.store.tenant(acme.id).write() as scope:
            members.leave(scope, who[number].id, by="x", seal=web.state.seal, clock=web.clock)
        return "left"

    assert sorted(at_once(leave, 2)) == ["last_owner", "left"]


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


def test_an_invitation_that_somebody_wrote_into_the_database_is_none(
    web: Web, acme: Tenant, owner: Person, api: TestClient
) -> None:
    made = invited(api, signed_in(web, owner), "eve@example.com", "viewer")
    with web.state.store.write() as platform:
        platform.connection.execute(invitation_table.update().values(role=Role.OWNER))
    with pytest.raises(FreeholdError) as refused:
        accepted(web, token_in(made["link"]))
    assert refused.value.code == "not_found"


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


def test_what_somebody_offered_ends_with_their_power_to_offer_it(
    web: Web, acme: Tenant, owner: Person, api: TestClient
) -> None:
    admin = member(web, acme, Role.ADMIN)
    theirs = signed_in(web, admin)
    grand, small = (invited(api, theirs, f"{role}@example.com", role) for role in ("admin", "viewer"))
    place = place_of(web, acme, admin)
    api.patch(f"{AT}/members/{place}", headers=signed_in(web, owner), json={"role": "member"})
    with pytest.raises(Conflict):
        accepted(web, token_in(grand["link"]))
    assert accepted(web, token_in(small["link"])).member.role is Role.VIEWER


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


def test_a_members_key_never_invites_beyond_its_scopes(web: Web, acme: Tenant, api: TestClient) -> None:
    key = bearer(web.key(acme, "members:write", "tenants:read"))
    refused = api.post(f"{AT}/invitations", headers=key, json={"email": "a@example.com", "role": "viewer"})
    assert refused.json()["code"] == "role_out_of_reach"
    whole = bearer(web.key(acme))
    assert api.post(f"{AT}/invitations", headers=whole, json={"email": "a@example.com", "role": "owner"}).is_success
