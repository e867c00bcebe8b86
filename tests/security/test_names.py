"""Names that people and tenants give themselves: shown to others, so nothing in them is unseen or turns text around."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from freehold.tenants.sessions import hashed
from tests.crowd import person, signed_in
from tests.sign_on import staged
from tests.webs import OPERATOR, Web, bearer, client, made

TOKEN = "t" * 43
UNSEEN = ("Ada\u202egnp.exe", "Ada\u200b", "Ada\x1b[2J", "Ada\x00", "\u2066Ada")


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path, claim_hash=hashed(TOKEN))


@pytest.fixture
def asking(web: Web) -> Iterator[TestClient]:
    with client(web, None) as one:
        yield one


@pytest.mark.parametrize("name", UNSEEN)
def test_nobody_calls_themselves_something_that_cannot_be_seen(web: Web, asking: TestClient, name: str) -> None:
    ada = signed_in(web, person(web, name="Ada"))
    refused = asking.patch("/api/v1/me", json={"name": name}, headers=ada)
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_name")
    assert asking.get("/api/v1/me", headers=ada).json()["name"] == "Ada"


@pytest.mark.parametrize("name", UNSEEN)
def test_nobody_claims_under_a_name_that_cannot_be_seen(asking: TestClient, name: str) -> None:
    told = {"token": TOKEN, "email": "ada@example.com", "name": name}
    assert asking.post("/api/v1/claim", json=told).json()["code"] == "bad_name"
    page = asking.post("/claim", data=told, headers={"Origin": "http://127.0.0.1:7070"})
    assert page.status_code == 422
    assert asking.get("/api/v1/login/ways").json()["claimed"] is False


@pytest.mark.parametrize("name", UNSEEN)
def test_no_tenant_has_a_name_that_cannot_be_seen(asking: TestClient, name: str) -> None:
    refused = asking.post("/api/v1/tenants", json={"slug": "acme", "name": name}, headers=bearer(OPERATOR))
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_name")
    asking.post("/api/v1/tenants", json={"slug": "acme"}, headers=bearer(OPERATOR))
    refused = asking.patch("/api/v1/tenants/acme", json={"name": name}, headers=bearer(OPERATOR))
    assert refused.json()["code"] == "bad_name"


def test_a_name_is_one_line(web: Web, asking: TestClient) -> None:
    ada = signed_in(web, person(web))
    assert asking.patch("/api/v1/me", json={"name": " Ada\n  Berg "}, headers=ada).json()["name"] == "Ada Berg"
    made = asking.post("/api/v1/tenants", json={"slug": "acme", "name": "A\r\nB"}, headers=bearer(OPERATOR))
    assert made.json()["name"] == "A B"


@pytest.mark.parametrize("name", UNSEEN)
async def test_what_a_provider_calls_somebody_is_shown_without_what_cannot_be_seen(tmp_path: Path, name: str) -> None:
    async with staged(tmp_path) as scene:
        scene.provider.person |= {"name": name, "groups": ["auditors"]}
        who = await scene.me()
    assert who.name.isprintable()
    assert "Ada" in who.name
