"""Invitations: a link that is good once, for one address, and what it proves."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from freehold.core.errors import Conflict, Denied, FreeholdError, NotFound
from freehold.core.people import Person, Role
from freehold.core.tenants import Tenant
from freehold.store.people import invitation_table
from freehold.tenants import inviting
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


def accepted(web: Web, token: str) -> inviting.Accepted:
    """Take the place as whoever has the address: by the link alone where it came by mail, else signed in."""
    told: dict[str, Any] = {"seal": web.state.seal, "ids": web.state.ids, "clock": web.clock}
    with web.state.store.write() as platform:
        found = inviting.offer(platform, token, seal=web.state.seal, at=web.clock.now())
        if not found.proven:
            inviting.introduce(platform, token, **told)
        who = None if found.proven else platform.people.by_email(found.invitation.email)
        return inviting.accept(platform, token, person=who, **told)


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
    assert accepted(web, mailed).signs_in is True


def test_an_inviter_cannot_be_signed_in_as_whom_they_invite(
    web: Web, acme: Tenant, owner: Person, api: TestClient
) -> None:
    person(web, "ops@example.com")
    made = invited(api, signed_in(web, owner), "ops@example.com")
    token = token_in(made["link"])
    with pytest.raises(NotFound):
        accepted(web, f"{token}.{'0' * 64}")
    with pytest.raises(Denied), web.state.store.write() as platform:
        inviting.accept(platform, token, person=None, seal=web.state.seal, ids=web.state.ids, clock=web.clock)
    assert accepted(web, token).signs_in is False


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


def test_an_invitation_that_somebody_wrote_into_the_database_is_none(
    web: Web, acme: Tenant, owner: Person, api: TestClient
) -> None:
    made = invited(api, signed_in(web, owner), "eve@example.com", "viewer")
    with web.state.store.write() as platform:
        platform.connection.execute(invitation_table.update().values(role=Role.OWNER))
    with pytest.raises(FreeholdError) as refused:
        accepted(web, token_in(made["link"]))
    assert refused.value.code == "not_found"


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


def test_a_members_key_never_invites_beyond_its_scopes(web: Web, acme: Tenant, api: TestClient) -> None:
    key = bearer(web.key(acme, "members:write", "tenants:read"))
    refused = api.post(f"{AT}/invitations", headers=key, json={"email": "a@example.com", "role": "viewer"})
    assert refused.json()["code"] == "role_out_of_reach"
    whole = bearer(web.key(acme))
    assert api.post(f"{AT}/invitations", headers=whole, json={"email": "a@example.com", "role": "owner"}).is_success


def test_what_a_closed_person_offered_ends(web: Web, acme: Tenant, owner: Person, api: TestClient) -> None:
    made = invited(api, signed_in(web, owner), "ada@example.com")
    assert api.patch(f"/api/v1/people/{owner.id}", headers=bearer(OPERATOR), json={"state": "closed"}).is_success
    with pytest.raises(Conflict):
        accepted(web, token_in(made["link"]))
