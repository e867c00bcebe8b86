"""What guards an operator is not taken away by somebody who is less."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from freehold.core.ceremonies import Passkey
from freehold.core.people import PlatformRole
from freehold.store.ceremonies import Passkeys
from tests.crowd import person, signed_in
from tests.webs import Web, bearer, client, made


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def asking(web: Web) -> Iterator[TestClient]:
    with client(web, None) as one:
        yield one


def with_passkey(web: Web, who: str) -> None:
    passkey = Passkey(
        id=web.state.ids("pky"),
        person=who,
        name="Key",
        credential=f"of {who}",
        public_key=b"",
        signs=0,
        synced=False,
        created_at=web.clock.now(),
    )
    with web.state.store.write() as platform:
        Passkeys(platform.connection).add(passkey)


def passkeys_of(web: Web, who: str) -> int:
    with web.state.store.read() as platform:
        return len(Passkeys(platform.connection).of(who))


@pytest.mark.parametrize("what", ["passkeys", "sessions"])
def test_a_key_for_people_takes_nothing_from_an_operator(web: Web, asking: TestClient, what: str) -> None:
    ops = person(web, platform_role=PlatformRole.OPERATOR)
    theirs = signed_in(web, ops)
    with_passkey(web, ops.id)
    key = bearer(web.key(None, "people:admin"))
    refused = asking.delete(f"/api/v1/people/{ops.id}/{what}", headers=key)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_out_of_reach")
    assert passkeys_of(web, ops.id) == 1
    assert asking.get("/api/v1/me", headers=theirs).status_code == 200


@pytest.mark.parametrize("what", ["passkeys", "sessions"])
def test_a_key_for_people_sees_to_everybody_else(web: Web, asking: TestClient, what: str) -> None:
    ada = person(web)
    key = bearer(web.key(None, "people:admin"))
    assert asking.delete(f"/api/v1/people/{ada.id}/{what}", headers=key).status_code == 204


def test_an_operator_sees_to_operators(web: Web, asking: TestClient) -> None:
    ops, other = (person(web, platform_role=PlatformRole.OPERATOR) for _ in range(2))
    with_passkey(web, ops.id)
    gone = asking.delete(f"/api/v1/people/{ops.id}/passkeys", headers=signed_in(web, other))
    assert gone.status_code == 204
    assert passkeys_of(web, ops.id) == 0
