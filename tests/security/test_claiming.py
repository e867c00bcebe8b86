"""Claiming: the first operator gets in by the link, once, and nobody without it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from freehold.core.people import PlatformRole
from freehold.store.people import installation_table
from freehold.tenants.sessions import hashed
from tests.crowd import person
from tests.webs import Web, client, made

TOKEN = "t" * 43
CLAIM = "/api/v1/claim"


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path, claim_hash=hashed(TOKEN))


@pytest.fixture
def asking(web: Web) -> Iterator[TestClient]:
    with client(web, key=None) as one:
        yield one


def claim(asking: TestClient, token: str = TOKEN, email: str = "ada@example.com") -> Any:
    return asking.post(CLAIM, json={"token": token, "email": email, "name": "Ada"})


def cookie_of(answer: Any) -> dict[str, str]:
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def test_whoever_has_the_link_becomes_the_operator(web: Web, asking: TestClient) -> None:
    assert asking.get("/api/v1/login/ways").json()["claimed"] is False
    answer = claim(asking)
    assert (answer.status_code, answer.json()["way"]) == (200, "claim")
    me = asking.get("/api/v1/me", headers=cookie_of(answer)).json()
    assert (me["email"], me["platform_role"], me["scopes"]) == ("ada@example.com", "operator", ["*"])
    assert asking.get("/api/v1/login/ways").json()["claimed"] is True


def test_the_link_is_good_once(web: Web, asking: TestClient) -> None:
    claim(asking)
    again = claim(asking, email="eve@example.com")
    assert (again.status_code, again.json()["code"]) == (409, "already_claimed")


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "t", "\u00e9" * 43])
def test_without_the_link_nobody_claims(web: Web, asking: TestClient, token: str) -> None:
    assert claim(asking, token=token).status_code in {401, 422}
    assert asking.get("/api/v1/login/ways").json()["claimed"] is False


def test_an_installation_without_a_link_is_claimed_by_nobody(tmp_path: Path) -> None:
    with client(made(tmp_path), key=None) as asking:
        assert claim(asking).json()["code"] == "bad_claim"


def test_of_those_who_claim_at_once_one_does(web: Web, asking: TestClient) -> None:
    barrier = threading.Barrier(8)

    def try_it(n: int) -> int:
        barrier.wait()
        return int(claim(asking, email=f"ada{n}@example.com").status_code)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(try_it, range(8))) == [200] + [409] * 7
    with web.state.store.read() as platform:
        assert len(platform.people.page()) == 1


def test_somebody_who_is_there_already_is_made_the_operator(web: Web, asking: TestClient) -> None:
    ada = person(web, "ada@example.com", name="Ada")
    answer = claim(asking, email="ADA@example.com")
    assert answer.json()["person"]["id"] == ada.id
    assert asking.get("/api/v1/me", headers=cookie_of(answer)).json()["platform_role"] == "operator"


def test_a_claim_that_fails_leaves_nothing_behind(web: Web, asking: TestClient) -> None:
    assert claim(asking, email="no address").status_code == 422
    assert claim(asking).status_code == 200


def test_that_it_was_claimed_is_in_the_record(web: Web, asking: TestClient) -> None:
    claim(asking)
    with client(web) as operator:
        rows = operator.get("/api/v1/audit").json()["items"]
    done = {row["action"]: row for row in rows}
    assert {"platform.claim", "person.sign_in"} <= done.keys()
    assert done["person.sign_in"]["way"] == "claim"


def test_an_installation_with_an_operator_is_not_claimed_again_though_the_database_says_so(
    web: Web, asking: TestClient
) -> None:
    claim(asking)
    with web.state.store.write() as platform:
        platform.connection.execute(installation_table.update().values(claimed_at=None, claimed_by=""))
    assert asking.get("/api/v1/login/ways").json()["claimed"] is True
    assert claim(asking, email="eve@example.com").json()["code"] == "already_claimed"
    assert asking.get(f"/claim?token={TOKEN}").status_code == 409


def test_a_person_whom_web_did_not_make_operator_keeps_nobody_from_claiming(web: Web, asking: TestClient) -> None:
    eve = person(web, "eve@example.com")
    with web.state.store.write() as platform:
        platform.people.save(replace(eve, platform_role=PlatformRole.OPERATOR))
    assert claim(asking).status_code == 200
